"""The Kubernetes executor: each try runs in a pod of its own, at one cluster or several."""
