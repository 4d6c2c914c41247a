"""Workers as processes on real brokers, with a runner that is the test's own."""

import signal
from pathlib import Path

import pytest

from airloom.executors.celery.messages import PROTOCOL_HEADER, TASK, encode, message_id
from airloom.model.wire import PROTOCOL, Slots, Stop
from tests.brokers import RabbitServer, RedisServer
from tests.runtime.conftest import Make
from tests.runtime.worker_rig import TOKEN, Runner, Site, work_of
from tests.waiting import wait_for


def numbers(runner: Runner) -> list[int]:
    return [key.ti_id for key in runner.keys]


# --- where messages wait ----------------------------------------------------------------------------------------------
def test_nothing_waits_at_a_busy_worker_while_another_one_is_idle(site: Site) -> None:
    _, busy = site.worker("busy")
    site.post.send(*map(work_of, range(1, 7)))
    busy.grant(*busy.handed(2))
    _, idle = site.worker("idle", "4")
    idle.handed(4)
    assert sorted(numbers(idle)) == [3, 4, 5, 6]
    busy.listen()
    assert numbers(busy) == [1, 2]


def test_a_message_is_the_brokers_until_the_claim_is_answered(site: Site) -> None:
    worker, runner = site.worker()
    site.post.send(work_of(1))
    runner.handed(1)
    worker.signal(signal.SIGKILL)
    worker.ended()
    if site.url.startswith("amqp"):  # at Redis it is gone with its worker: the scheduler publishes it again
        _, other = site.worker("other")
        other.handed(1)
        assert numbers(other) == [1]


def test_an_answered_claim_is_the_end_of_its_message(site: Site) -> None:
    worker, runner = site.worker()
    site.post.send(work_of(1), work_of(2), work_of(3))
    one, two = runner.handed(2)
    runner.grant(one)
    runner.refuse(two)
    runner.grant(runner.handed(3)[-1])
    worker.signal(signal.SIGQUIT)
    assert runner.told(Stop).grace == 0.0
    runner.hang_up()
    assert worker.ended() == 0
    assert site.post.waiting() == 0


def test_what_is_given_back_keeps_its_place(site: Site, request: pytest.FixtureRequest) -> None:
    worker, runner = site.worker("one", "3")
    site.post.send(*map(work_of, range(1, 8)))
    runner.handed(3)
    worker.signal(signal.SIGTERM)
    runner.told(Stop)
    runner.hang_up()
    assert worker.ended() == 0
    assert site.post.waiting() == 7
    _, other = site.worker("other", "7")
    other.handed(7)
    if "quorum" in request.node.name:  # these put what is given back behind the rest
        assert numbers(other) == [4, 5, 6, 7, 1, 2, 3]
    else:
        assert numbers(other) == [1, 2, 3, 4, 5, 6, 7]


def test_what_matters_more_comes_first(site: Site, request: pytest.FixtureRequest) -> None:
    if "quorum" in request.node.name:
        pytest.skip("quorum queues of this release of RabbitMQ know no priorities")
    site.post.send(*(work_of(number, priority=2**number) for number in range(1, 6)))
    _, runner = site.worker("one", "1")
    for count in range(1, 6):
        key = runner.handed(count)[-1]
        runner.grant(key)
        runner.end(key)
    assert numbers(runner) == [5, 4, 3, 2, 1]


def test_a_worker_serves_its_queues_and_no_others(site: Site) -> None:
    _, runner = site.worker("one", "4", "-q", "gpu, night shift/äö")
    site.post.send(work_of(1), work_of(2, queue="gpu"), work_of(3, queue="night shift/äö"))
    runner.handed(2)
    assert sorted(numbers(runner)) == [2, 3]
    assert site.post.waiting() == 1


def test_a_worker_that_cannot_claim_holds_no_message(site: Site) -> None:
    worker, runner = site.worker()
    site.post.send(work_of(1), work_of(2), work_of(3))
    runner.handed(2)
    runner.stand(taking=False, why="cannot reach the API at http://api:8080: refused")
    assert wait_for(lambda: site.post.waiting() == 3, "the messages to be back")
    assert "takes no work: cannot reach the API at http://api:8080: refused" in worker.said
    runner.stand(taking=True)
    runner.grant(*runner.keys)
    runner.end(*runner.keys)
    for count in range(3, 6):
        key = runner.handed(count)[-1]
        runner.refuse(key, "it has ended here")
    assert sorted(numbers(runner)) == [1, 1, 2, 2, 3]


# --- bad messages -----------------------------------------------------------------------------------------------------
def test_messages_that_are_no_tries_are_dropped_with_a_line_each_and_the_queue_goes_on(site: Site) -> None:
    worker, runner = site.worker()
    arguments, headers = encode(work_of(9))
    ours = {"task": TASK, "id": "9-1", **headers}
    send = site.post.send_raw
    send([[], {}, {}], serializer="json", headers={"task": "their.task", "id": "1"})
    send({"task": "their.task", "id": "1", "args": [TOKEN]}, serializer="json")
    send(f"plain {TOKEN}", serializer="raw", content_type="text/plain", content_encoding="utf-8")
    send(b"\x80\x04.", content_type="application/x-python-serialize", content_encoding="binary", headers=ours)
    send("{", content_type="application/json", content_encoding="utf-8", headers=ours)
    send("[" * 200_000, content_type="application/json", content_encoding="utf-8", headers=ours)
    send([["AAAA"], {}, {}], serializer="json", headers=ours)
    send([arguments], serializer="json", headers=ours)
    send([arguments, {}, {}], serializer="json", headers={"task": TASK, "id": "9-1"})
    send([arguments, {}, {}], serializer="json", headers={"task": TASK, **headers})
    site.post.send(work_of(1))
    runner.handed(1)
    assert numbers(runner) == [1]
    assert worker.said.count("is dropped") == 10
    assert TOKEN not in worker.said
    assert "Traceback" not in worker.said
    assert "airloom.default" in worker.said


def test_a_message_of_a_newer_release_is_left_to_a_newer_worker(site: Site) -> None:
    worker, runner = site.worker()
    arguments, headers = encode(work_of(1))
    newer = {"task": TASK, "id": message_id(work_of(1).key), PROTOCOL_HEADER: PROTOCOL + 1}
    site.post.send_raw([arguments, {}, {}], serializer="json", headers=newer)
    worker.says(f"takes no work: a message of version {PROTOCOL + 1} of the protocol")
    assert wait_for(lambda: site.post.waiting() == 1, "the message to be back")
    assert wait_for(lambda: worker.said.count("takes no work: a message of version") > 1, "the worker to look again")
    assert headers[PROTOCOL_HEADER] == PROTOCOL
    runner.listen()
    assert runner.keys == []


def test_a_second_message_of_a_try_in_hand_is_dropped(site: Site) -> None:
    _, runner = site.worker("one", "4")
    site.post.send(work_of(1))
    runner.grant(*runner.handed(1))
    site.post.send(work_of(1), work_of(1), work_of(2))
    runner.handed(2)
    assert numbers(runner) == [1, 2]
    assert wait_for(lambda: site.post.waiting() == 0, "the messages to be dropped")


# --- ends -------------------------------------------------------------------------------------------------------------
def test_a_worker_that_is_terminated_lets_its_tries_go_on_and_ends_when_its_runner_has(on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    on_redis.post.send(work_of(1))
    runner.grant(*runner.handed(1))
    worker.signal(signal.SIGTERM)
    assert runner.told(Stop).grace == 600.0
    on_redis.post.send(work_of(2))
    runner.end(*runner.keys)
    runner.hang_up()
    assert worker.ended() == 0
    assert on_redis.post.waiting() == 1


def test_a_second_signal_ends_the_tries(on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    worker.signal(signal.SIGINT)
    assert runner.told(Stop).grace == 600.0
    worker.signal(signal.SIGINT)
    assert wait_for(lambda: runner.told(Stop).grace == 0.0, "the second order")
    runner.hang_up()
    assert worker.ended() == 0


def test_a_person_can_end_a_worker(on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    runner.stand(taking=False, why="it is to stop", stop=True)
    assert runner.told(Stop).grace == 600.0
    runner.hang_up()
    assert worker.ended() == 0


def test_a_worker_can_be_ended_while_its_broker_is_away(tmp_path: Path, make: Make) -> None:
    site = make("redis://127.0.0.1:1/0")
    worker, runner = site.worker()
    worker.says("is unreachable")
    told = wait_for(lambda: runner.told(Slots) if runner.told(Slots).trouble else None, "the trouble at the runner")
    assert told.trouble.startswith("cannot reach its broker: redis://127.0.0.1:1/0 is unreachable: ")
    worker.signal(signal.SIGTERM)
    runner.told(Stop)
    runner.hang_up()
    assert worker.ended() == 0


# --- what dies --------------------------------------------------------------------------------------------------------
def test_a_new_worker_goes_on_with_the_runner_of_one_that_was_killed(on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    on_redis.post.send(work_of(1))
    runner.grant(*runner.handed(1))
    worker.signal(signal.SIGKILL)
    worker.ended()
    runner.hang_up()
    on_redis.start("one", "-c", "2")
    runner.connected()
    runner.grant(*runner.keys)
    on_redis.post.send(work_of(2), work_of(3))
    runner.handed(2)
    assert numbers(runner) == [1, 2]
    runner.end(runner.keys[0])
    runner.handed(3)
    assert not any(isinstance(message, Stop) for message in runner.heard)


def test_a_runner_of_before_with_other_settings_is_asked_to_make_way(on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    worker.signal(signal.SIGKILL)
    worker.ended()
    runner.hang_up()
    on_redis.start("one", "-c", "3", "-q", "gpu").says("has other settings")
    runner.connected()
    assert runner.told(Stop).grace == 600.0


def test_when_its_runner_dies_the_worker_connects_to_the_next_one(site: Site) -> None:
    worker, runner = site.worker()
    site.post.send(work_of(1), work_of(2))
    runner.grant(runner.handed(2)[0])
    runner.hang_up()
    runner.connected()
    assert runner.told(Slots).slots == 2
    runner.handed(3)
    assert numbers(runner) == [1, 2, 2]
    assert "the runner has died; another one is started" in worker.said
    assert "its runner is being started" in worker.said


@pytest.mark.slow
def test_a_broker_that_comes_back_is_worked_with_again_and_tries_went_on(
    redis_server: RedisServer, on_redis: Site
) -> None:
    worker, runner = on_redis.worker()
    on_redis.post.send(work_of(1), work_of(2))
    runner.grant(runner.handed(2)[0])  # the other one is unanswered when the connection breaks
    redis_server.kill()
    worker.says("no work comes until it serves again, tries that run go on")
    wait_for(lambda: runner.told(Slots).trouble, "the trouble at the runner")
    runner.end(runner.keys[0])
    redis_server.start()
    worker.says("serves again\n")
    wait_for(lambda: not runner.told(Slots).trouble, "its end at the runner")
    on_redis.post.send(work_of(3))
    runner.handed(3)
    assert numbers(runner) == [1, 2, 3]


@pytest.mark.slow
def test_after_a_restart_of_rabbitmq_an_unanswered_message_comes_again_for_the_same_claim(
    rabbitmq_server: RabbitServer, rabbitmq_url: str, make: Make
) -> None:
    site = make(rabbitmq_url)
    worker, runner = site.worker()
    site.post.send(work_of(1))
    runner.handed(1)
    rabbitmq_server.kill()
    worker.says("no work comes until it serves again, tries that run go on")
    rabbitmq_server.start()
    worker.says("serves again\n")
    site.post.send(work_of(2))
    runner.handed(2)
    runner.grant(*runner.keys)
    assert numbers(runner) == [1, 2]
    assert wait_for(lambda: site.post.waiting() == 0, "the messages to be answered")


# --- a broker that will not -------------------------------------------------------------------------------------------
def test_a_worker_says_that_its_password_is_wrong_and_shows_none(make: Make) -> None:
    server = RedisServer(password="right-one")
    try:
        site = make(server.url())
        site.runner().close()
        worker = site.start("one", url=server.url().replace("right-one", "wrong-one"))
        said = worker.says("refuses the user or the password that [celery] broker has")
        assert "password" in said
        assert "wrong-one" not in said
    finally:
        server.close()


@pytest.mark.slow
def test_a_worker_says_that_rabbitmq_refuses_its_password(rabbitmq_url: str, make: Make) -> None:
    site = make(rabbitmq_url)
    site.runner().close()
    worker = site.start("one", url=rabbitmq_url.replace(":guest@", ":wrong-one@"))
    said = worker.says("ACCESS_REFUSED")
    assert "wrong-one" not in said
    assert "Traceback" not in said


def test_a_redis_without_memory_delivers_what_it_has(redis_server: RedisServer, on_redis: Site) -> None:
    on_redis.post.send(work_of(1), work_of(2))
    redis_server.set_max_memory(1)
    try:
        worker, runner = on_redis.worker()
        runner.grant(*runner.handed(2))
        runner.end(*runner.keys)
    finally:
        redis_server.set_max_memory(0)
    on_redis.post.send(work_of(3))
    runner.handed(3)
    assert numbers(runner) == [1, 2, 3]
    assert "Traceback" not in worker.said


def test_a_worker_hears_of_its_end_while_redis_answers_nothing(redis_server: RedisServer, on_redis: Site) -> None:
    worker, runner = on_redis.worker("one", "4")
    on_redis.post.send(*map(work_of, range(1, 5)))
    runner.handed(4)
    redis_server.freeze()
    try:
        worker.signal(signal.SIGTERM)
        assert runner.told(Stop).grace > 0.0
        worker.signal(signal.SIGTERM)
        wait_for(lambda: runner.told(Stop).grace == 0.0, "the second signal to be heard")
    finally:
        redis_server.thaw()
    runner.hang_up()
    assert worker.ended() == 0


def test_what_a_redis_without_memory_does_not_take_back_is_not_shown(redis_server: RedisServer, on_redis: Site) -> None:
    worker, runner = on_redis.worker()
    on_redis.post.send(work_of(1), work_of(2))
    first = runner.handed(2)[:]
    redis_server.set_max_memory(1)
    try:
        runner.stand(taking=False, why="the server is out of reach")
        worker.says("out of memory")
    finally:
        redis_server.set_max_memory(0)
    assert "Traceback" not in worker.said
    # What of a message may hold its token.
    assert "'body'" not in worker.said
    runner.grant(*first)
    runner.end(*first)
    runner.stand()
    on_redis.post.send(work_of(3))
    runner.handed(3)


def test_a_queue_of_another_kind_is_used_as_it_is(rabbitmq_url: str, make: Make) -> None:
    quorum = make(rabbitmq_url, "quorum").post
    quorum.ready()
    quorum.send(work_of(1))
    worker, runner = make(rabbitmq_url).worker()
    runner.grant(*runner.handed(1))
    assert "of another kind" in worker.said
    assert "Traceback" not in worker.said


def test_a_broker_that_the_environment_names_for_other_programs_is_not_ours(redis_url: str, make: Make) -> None:
    site = make(redis_url)
    runner = site.runner()
    worker = site.start("one", CELERY_BROKER_URL="redis://127.0.0.1:1/0")
    runner.connected(worker)
    site.post.send(work_of(1))
    runner.handed(1)


# --- a start that is refused ------------------------------------------------------------------------------------------
def test_a_second_worker_in_the_same_home_is_refused(on_redis: Site) -> None:
    on_redis.worker()
    second = on_redis.start("one")
    assert second.ended() == 4
    assert "another worker uses the home folder" in second.said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-c", "0"], "write a number of tasks such as 16, or a range such as 4..32"),
        (["-c", "8..4"], "write a number of tasks"),
        (["-c", "many"], "write a number of tasks"),
        (["--name", "a b"], "letters, digits, dots, dashes"),
        (["--token-file", "/nonexistent/token"], "`airloom tokens add-runner NAME` makes one"),
    ],
)
def test_what_cannot_be_is_said_at_once(on_redis: Site, arguments: list[str], sentence: str) -> None:
    worker = on_redis.start("one", *arguments)
    assert worker.ended() == 5
    assert sentence in worker.said
