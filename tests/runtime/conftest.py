"""A broker of each kind, with workers and runners of the test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.runtime.worker_rig import Site

Make = Callable[..., Site]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:
        yield lambda url, queue_type="classic": Site(tmp_path, url, queue_type, stack)


@pytest.fixture(params=["redis", "rabbitmq", pytest.param("quorum", marks=pytest.mark.slow)])
def site(request: pytest.FixtureRequest, make: Make) -> Site:
    """One on each kind of queue."""
    kind = request.param
    url = request.getfixturevalue("redis_url" if kind == "redis" else "rabbitmq_url")
    made = make(url, "quorum" if kind == "quorum" else "classic")
    if kind == "quorum":
        made.post.ready()
    return made


@pytest.fixture
def on_redis(redis_url: str, make: Make) -> Site:
    return make(redis_url)
