"""What people and machines get wrong around a cluster: each has a clear message, and nothing is lost by it."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airloom.executors.celery.messages import PROTOCOL_HEADER, TASK, encode
from airloom.model.report import Ended, Outcome
from airloom.model.wire import PROTOCOL
from airloom.model.work import Work
from tests.brokers import Broker, RabbitServer, RedisServer
from tests.executors.celery_rig import CeleryRig, CeleryWorld, patched
from tests.executors.rig import values
from tests.servers import PostgresServer, free_port
from tests.waiting import wait_for

pytestmark = pytest.mark.xdist_group("bad-input")


@pytest.fixture
def database(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def world(tmp_path: Path, database: str, redis_url: str) -> Iterator[CeleryWorld]:
    """Redis and the task API run; the worker is the test's to start."""
    with made_world(tmp_path, database, redis_url) as world:
        yield world


def made_world(folder: Path, database: str, broker: str, **celery: str) -> Any:
    """A world with that broker."""
    home = folder / "world"
    home.mkdir()
    return patched(CeleryWorld(home, database, {"AIRLOOM__CELERY__BROKER": broker, **celery}))


def made_rig(folder: Path, world: CeleryWorld) -> CeleryRig:
    """A rig whose executor may have no broker."""
    rig = CeleryRig(folder, world)
    rig.start_celery(connected=False)
    rig.write("good", "return 1")
    return rig


def trouble(rig: CeleryRig) -> str:
    """Why the executor takes nothing, which is waited for."""

    def said() -> str:
        slots, why = rig.executor.capacity()
        return why if slots == 0 and "is not connected yet" not in why else ""

    return str(wait_for(said, "the executor to say what is wrong"))


def own(kind: str, **options: Any) -> Broker:
    """A broker that the test may do anything with."""
    return RedisServer(**options) if kind == "redis" else RabbitServer(**options)


# --- the broker -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_broker_that_is_not_there_is_named_and_waited_for(kind: str, tmp_path: Path, database: str):
    broker = own(kind)
    url = broker.fresh()
    broker.stop()
    with closing(broker), made_world(tmp_path, database, url) as world:
        rig = made_rig(tmp_path, world)
        work = rig.work("good")
        rig.submit(work)
        assert f"127.0.0.1:{broker.port}" in trouble(rig)
        world.start_worker()
        away = f"127.0.0.1:{broker.port}/{url.rpartition('/')[2]} is unreachable"
        wait_for(lambda: away in world.worker_says(), "the worker to name the broker")
        assert not rig.told(Ended, work)
        broker.start()
        assert rig.end(work).outcome is Outcome.SUCCESS
        assert rig.executor.capacity() == (None, "")
        rig.close()


#: in the words of each broker
REFUSED = {"redis": "invalid username-password pair", "rabbitmq": "ACCESS_REFUSED"}


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_wrong_password_is_told_as_such_and_never_shown(kind: str, tmp_path: Path, database: str):
    with closing(own(kind, password="the-right-one")) as broker:
        url = broker.fresh()
        wrong = url.replace("the-right-one", "not-this-one")
        with made_world(tmp_path, database, wrong) as world:
            rig = made_rig(tmp_path, world)
            work = rig.work("good")
            rig.submit(work)
            why = trouble(rig)
            assert "password" in why and "***" in why
            world.start_worker()
            wait_for(lambda: REFUSED[kind] in world.worker_says(), "the worker to say what is wrong")
            assert "***@127.0.0.1" in world.worker_says()
            for text in (why, world.worker_says()):
                assert "not-this-one" not in text
            rig.executor.close(0)
            world.set_broker(url)
            rig.start_celery()
            rig.submit(work)
            world.stop_worker()
            world.start_worker()
            assert rig.end(work).outcome is Outcome.SUCCESS
            rig.close()


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_broker_without_memory_keeps_tasks_waiting_until_it_has_some(kind: str, tmp_path: Path, database: str):
    broker = own(kind)
    with closing(broker), made_world(tmp_path, database, broker.fresh()) as world:
        world.start_worker()
        rig = made_rig(tmp_path, world)
        assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
        limit_memory(broker, 1)
        works = [rig.work("good") for _ in range(5)]
        rig.submit(*works)
        assert "memory" in trouble(rig)
        assert not any(rig.told(Ended, work) for work in works)
        limit_memory(broker, 2**33)
        assert [rig.end(work).outcome for work in works] == [Outcome.SUCCESS] * 5
        rig.close()


def limit_memory(broker: Broker, size: int) -> None:
    if isinstance(broker, RedisServer):
        broker.set_max_memory(size)
    elif isinstance(broker, RabbitServer):
        broker.set_memory_limit(size)


# --- messages ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "headers", "properties"),
    [
        ([[1, 2], {}, {}], {"task": "tasks.add", "id": "x"}, {}),
        ([["no work"], {}, {}], {"task": TASK, "id": "x", PROTOCOL_HEADER: PROTOCOL}, {}),
        ([[], {}, {}], {"task": TASK, "id": "x"}, {}),
        ([], {"task": TASK, "id": "x", PROTOCOL_HEADER: PROTOCOL}, {}),
        ({"hello": "world"}, {}, {}),
        ("{ no JSON", {"task": TASK, "id": "x", PROTOCOL_HEADER: PROTOCOL}, {}),
        ("cos\nsystem\n(S'true'\ntR.", {"task": TASK, "id": "x"}, {"content_type": "application/x-python-serialize"}),
    ],
    ids=["another task", "no work in it", "no version", "nothing in it", "no task", "no JSON", "pickled"],
)
def test_a_message_that_airloom_did_not_write_is_dropped_with_a_word(
    shared: CeleryWorld, tmp_path: Path, body: Any, headers: dict[str, Any], properties: dict[str, str]
):
    said = len(shared.worker_says())
    shared.send(body if isinstance(body, str) else json.dumps(body), headers, **properties)
    rig = made_rig(tmp_path, shared)
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    wait_for(lambda: "no task of Airloom's" in shared.worker_says()[said:], "the worker to tell of the message")
    assert "Traceback" not in shared.worker_says()
    rig.close()


def test_a_message_of_a_newer_release_is_left_to_workers_that_can_read_it(shared: CeleryWorld, tmp_path: Path):
    rig = made_rig(tmp_path, shared)
    work = rig.work("good")
    arguments, headers = encode(shared.seal(work))
    newer = {"task": TASK, "id": "1-1", **headers, PROTOCOL_HEADER: PROTOCOL + 1}
    said = len(shared.worker_says())
    shared.send(json.dumps([arguments, {}, {}]), newer)
    text = f"a message of version {PROTOCOL + 1} of the protocol"
    wait_for(lambda: text in shared.worker_says()[said:], "the worker to tell of it")
    assert "update this worker" in shared.worker_says()[said:]
    wait_for(lambda: shared.waiting("default") == 1, "the message to be given back")
    shared.purge("default")
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    rig.close()


# --- workers ----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    migrated_postgres: str,
    redis_server: RedisServer,
) -> Iterator[CeleryWorld]:
    """A world with a worker, for tests that leave it as it was."""
    redis_server.ensure()
    name = postgres_server.create(migrated_postgres)
    folder = tmp_path_factory.mktemp("bad")
    with made_world(folder, postgres_server.url(name), redis_server.fresh()) as world:
        world.start_worker()
        yield world
    postgres_server.drop(name)


@pytest.mark.parametrize("offset", [300.0, -300.0], ids=["behind", "ahead"])
def test_times_of_a_worker_whose_clock_is_off_are_set_right(world: CeleryWorld, tmp_path: Path, offset: float):
    # The worker has this machine's clock, and the server another one.
    world.shift_clock(offset)
    world.start_worker()
    rig = made_rig(tmp_path, world)
    work = rig.work("good")
    before = time.time() + offset
    (ended,) = rig.run(work)
    after = time.time() + offset
    assert ended.outcome is Outcome.SUCCESS
    # As exact as the worker could know: it does not mend what is less than two seconds.
    assert before - 2 <= rig.started(work).at <= ended.at <= after + 2
    (_, state) = world.runners()[0]
    assert abs(state.clock + offset) < 2
    wait_for(lambda: "clock" in world.runner_says(), "the worker to tell of its clock")
    rig.close()


def test_a_worker_with_another_version_of_a_file_runs_the_version_of_the_run(shared: CeleryWorld, tmp_path: Path):
    rig = made_rig(tmp_path, shared)
    file = rig.dags / "good.py"
    stored = shared.keep_source(file)
    file.write_text(file.read_text().replace("return 1", "return 'of tomorrow'"))
    (ended,) = rig.run(rig.work("good", file_hash=stored))
    assert values(ended) == {"return_value": 1}
    rig.close()


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
def test_queues_may_have_odd_names(broker: str, tmp_path: Path, database: str, request: pytest.FixtureRequest):
    names = ["late shift", "größe/ü#1*", "a.b:c@d", "\x06\x16", "日本", "%2F?x=1", "'; DROP TABLE"]
    names = [name for name in names if name.isprintable()]
    with made_world(tmp_path, database, request.getfixturevalue(f"{broker}_url")) as world:
        world.start_worker(AIRLOOM__WORKER__QUEUES=",".join(names))
        rig = made_rig(tmp_path, world)
        works: list[Work] = [rig.work("good", queue=name) for name in names]
        assert [ended.outcome for ended in rig.run(*works)] == [Outcome.SUCCESS] * len(names)
        rig.close()


def test_a_second_worker_of_the_same_name_is_told_whose_the_name_is(shared: CeleryWorld, tmp_path: Path):
    ((runner, _),) = shared.runners()
    said = shared.refused_worker(tmp_path, "one", "is called 'one' already")
    assert f"a worker on {runner.host}" in said
    assert "give one of the two another name" in said
    assert [row.id for row, _ in shared.runners()] == [runner.id]
    rig = made_rig(tmp_path, shared)
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    rig.close()


def test_a_worker_without_a_server_says_where_it_looks_for_one(world: CeleryWorld, tmp_path: Path):
    port = free_port()
    world.start_worker(known=False, AIRLOOM__WORKER__SERVER=f"http://127.0.0.1:{port}")
    rig = made_rig(tmp_path, world)
    work = rig.work("good")
    rig.submit(work)
    unreached = f"the server at http://127.0.0.1:{port} is not reached"
    wait_for(lambda: f"takes no work: {unreached}" in world.worker_says(), "the worker to name the server")
    assert world.waiting("default") == 1
    world.stop_worker()
    world.start_worker()
    assert rig.end(work).outcome is Outcome.SUCCESS
    rig.close()
