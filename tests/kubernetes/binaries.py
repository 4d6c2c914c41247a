"""Where the programs of Kubernetes are found that the tests run: KUBEBUILDER_ASSETS, PATH, what was built once."""

import os
import shutil
from pathlib import Path

#: the field's own name for a folder with etcd, kube-apiserver and the like
ASSETS = "KUBEBUILDER_ASSETS"
#: a kubeconfig of a cluster that tests may fill, with an identity that may do everything there
FOREIGN = "AIRLOOM_TEST_KUBECONFIG"
#: an image with a shell that this cluster can pull; busybox if it is not set
FOREIGN_IMAGE = "AIRLOOM_TEST_IMAGE"


class NoKubernetes(Exception):
    """What a test needs of Kubernetes is not on this machine; the text says what to do."""


def built_folder() -> Path:
    """Where `make kube-test-binaries` keeps what it built."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "airloom" / "kubernetes"


def find_program(name: str) -> str:
    """The path of a program of Kubernetes, or of etcd. Raises NoKubernetes if it is nowhere."""
    places = [Path(os.environ[ASSETS])] if os.environ.get(ASSETS) else []
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", os.defpath), str(built_folder())])
    if found := shutil.which(name, path=path):
        return found
    raise NoKubernetes(
        f"the tests on Kubernetes need {name}, which is neither in {ASSETS} nor on PATH: `make kube-test-binaries` "
        f"builds what they need, once (or let {FOREIGN} name the kubeconfig of a cluster that tests may use)"
    )
