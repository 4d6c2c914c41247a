"""What the Kubernetes executor, and the commands that look into it, are told. Only who has that executor loads this."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import msgspec

from airloom.executors.cluster import Cluster
from airloom.executors.kubernetes.executor import KubernetesExecutor
from airloom.executors.kubernetes.mutation import MutationHook
from airloom.executors.kubernetes.settings import KubernetesSettings, for_pods, read_clusters
from airloom.executors.settings import LocalSettings
from airloom.sections import Settings


def kubernetes_settings(settings: Settings, runner: LocalSettings) -> KubernetesSettings:
    """The executor's settings. runner: what a runner of this machine is told. Raises SettingsError."""
    section = settings.kubernetes
    return KubernetesSettings(
        clusters=read_clusters(msgspec.structs.asdict(section)),
        runner=for_pods(runner, "kubernetes", section.heartbeat, section.lease),
        mutation_hook=section.mutation_hook,
        start_limit=section.start_limit,
        delete=section.delete,
        keep=section.keep,
        creators=section.creators,
    )


def kubernetes_executor(
    settings: Settings, runner: LocalSettings, cluster: Cluster, wake: Callable[[], None]
) -> KubernetesExecutor:
    """The executor, started. Raises SettingsError."""
    told = kubernetes_settings(settings, runner)
    hook = MutationHook(told.mutation_hook) if told.mutation_hook else None
    return KubernetesExecutor(told, cluster, wake, hook)


@contextmanager
def mutation_hook(settings: KubernetesSettings) -> Iterator[MutationHook | None]:
    """The mutation hook, if there is one, until the end of the block. Raises SettingsError."""
    if not settings.mutation_hook:
        yield None
        return
    with closing(MutationHook(settings.mutation_hook)) as hook:
        yield hook
