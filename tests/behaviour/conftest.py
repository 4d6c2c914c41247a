"""One real `airloom standalone` for all tests of the folder. Each test writes its own DAG files and leaves nothing."""

from collections.abc import Iterator

import pytest

from tests.behaviour.server import Server
from tests.faults.home import home_at


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives up on DAG files and on deaf tasks soon, and has two executors."""
    with home_at(
        tmp_path_factory.mktemp("behaviour") / "home",
        cli__timezone="UTC",
        core__executors="local,sequential",
        core__parallelism=8,
        core__infrastructure_retries=2,
        loader__parse_timeout=2,
        local__parallelism=16,
        local__grace=0.5,
        scheduler__answer_timeout=30,
    ) as home:
        home.dags.mkdir()
        home.start()
        home.ready()
        yield Server(home)
        # In good order: a kill leaves the runners, which wait for a scheduler to come back.
        assert home.stop() == 0
