"""The Celery executor keeps the promises of executors, with a real broker, the real task API and a real worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.executors.celery_rig import CeleryRig, CeleryWorld, patched
from tests.executors.conformance import ExecutorConformance
from tests.servers import PostgresServer


@pytest.fixture(scope="class")
def world(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    migrated_postgres: str,
) -> Iterator[CeleryWorld]:
    """For all tests of a class: a worker takes seconds to start."""
    broker: Broker = request.getfixturevalue(request.cls.server)
    broker.ensure()
    celery = {"AIRLOOM__CELERY__BROKER": broker.fresh(), **request.cls.settings}
    name = postgres_server.create(migrated_postgres)
    with patched(CeleryWorld(tmp_path_factory.mktemp("celery"), postgres_server.url(name), celery)) as made:
        made.start_worker()
        yield made
    postgres_server.drop(name)


class OnCelery(ExecutorConformance):
    """server: the fixture of the broker. settings: more of [celery]."""

    server = ""
    settings: dict[str, str] = {}

    @pytest.fixture
    def rig(self, tmp_path: Path, world: CeleryWorld) -> Iterator[CeleryRig]:
        rig = CeleryRig(tmp_path, world)
        rig.start_celery()
        yield rig
        rig.close()


@pytest.mark.xdist_group("celery-redis")
class TestRedis(OnCelery):
    server = "redis_server"


@pytest.mark.xdist_group("celery-rabbitmq")
class TestRabbitMQ(OnCelery):
    server = "rabbitmq_server"


@pytest.mark.xdist_group("celery-rabbitmq")
class TestQuorumQueues(OnCelery):
    server = "rabbitmq_server"
    settings = {"AIRLOOM__CELERY__QUEUE_TYPE": "quorum"}
