"""A small client of Kubernetes' API: what the executor asks of it, and no more."""
