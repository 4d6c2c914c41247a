"""The Kubernetes executor keeps the promises of executors, with a real API server, the real task API and real pods."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.conformance import ExecutorConformance
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served, skip_without
from tests.kubernetes.cluster import Cluster
from tests.servers import PostgresServer


@pytest.fixture
def world(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, migrated_postgres: str, running_cluster: Cluster
) -> Iterator[KubernetesWorld]:
    skip_without(running_cluster)
    name = postgres_server.create(migrated_postgres)
    with served(KubernetesWorld(postgres_server.url(name), running_cluster)) as made:
        yield made
    postgres_server.drop(name)


class TestKubernetes(ExecutorConformance):
    @pytest.fixture
    def rig(self, tmp_path: Path, world: KubernetesWorld) -> Iterator[KubernetesRig]:
        rig = KubernetesRig(tmp_path, world)
        rig.start_kubernetes()
        yield rig
        rig.close()
