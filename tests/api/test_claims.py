"""The task API before a try runs: who gets it, the text of its DAG file, and what people want of the worker."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert, update

from airloom.api.remote.app import make_task_app
from airloom.api.state import Api
from airloom.model.errors import Conflict
from airloom.model.events import ClearTasks, TriggerRun
from airloom.model.loading import ParsedFile
from airloom.model.processes import OrderKind, RunnerState, WorkerOrder
from airloom.model.report import Ended, Outcome, TryKey
from airloom.model.wire import (
    PROTOCOL,
    Claim,
    Claimed,
    GetSource,
    Heartbeat,
    Hello,
    Refusal,
    Reports,
    Source,
    Wanted,
    Welcome,
    frame,
)
from airloom.operations import remote_runners
from airloom.operations.asking import ask
from airloom.operations.ops import Ops
from airloom.operations.try_tokens import TryTokens
from airloom.sections import Settings
from airloom.store import dags, processes, runs, worker_orders
from airloom.store.database import Database
from airloom.store.tables import dag_code, task_try
from tests.api.caller import Caller
from tests.operations.leading import leading


@pytest.fixture
def key(settings: Settings, ops: Ops) -> Iterator[TryKey]:
    """A try that was handed out; its scheduler goes on leading."""
    with leading(settings, starts=False):
        ask(ops, TriggerRun(dag_id="flights", run_id="live"))
        with ops.db.reading() as conn:
            run = runs.find_run(conn, "flights", "live")
            assert run is not None
            (ti,) = (ti for ti in runs.list_tis(conn, run.id) if ti.task_id == "load")
        yield TryKey(ti.id, 1)


@pytest.fixture
def other(api: Api, ops: Ops) -> Caller:
    """Another worker."""
    caller = Caller(api, remote_runners.make_runner_token(ops, "others").text, "other", executor="celery")
    assert caller.greet().status_code == 200
    return caller


def claim(tokens: TryTokens, *keys: TryKey) -> Claim:
    return Claim(keys=keys, tokens=tuple(map(tokens.make, keys)))


def state_of(ops: Ops, runner: str) -> RunnerState:
    with ops.db.reading() as conn:
        row = processes.get_process(conn, runner)
    assert row is not None
    return msgspec.convert(row.state, RunnerState)


# --- claims -----------------------------------------------------------------------------------------------------------
def test_a_try_is_given_to_one_runner_and_to_it_again_when_it_asks_again(
    worker: Caller, other: Caller, key: TryKey, tokens: TryTokens
):
    assert worker.say(claim(tokens, key)) == [Claimed(granted=(key,))]
    assert other.say(claim(tokens, key)) == [Claimed(refused=(Refusal(key, "the runner r has it"),))]
    assert worker.say(claim(tokens, key)) == [Claimed(granted=(key,))]


def test_a_try_that_was_started_is_not_given_again_even_to_its_runner(
    worker: Caller, other: Caller, key: TryKey, ops: Ops, tokens: TryTokens
):
    worker.say(claim(tokens, key))
    change(ops, key, started_at=1.0)
    assert worker.say(claim(tokens, key)) == [Claimed(refused=(Refusal(key, "this runner has started it already"),))]
    assert other.say(claim(tokens, key)) == [Claimed(refused=(Refusal(key, "the runner r has it"),))]


def change(ops: Ops, key: TryKey, **values: float) -> None:
    """What the scheduler commits about a try."""
    with ops.db.transaction() as conn:
        conn.execute(update(task_try).where(task_try.c.ti_id == key.ti_id).values(values))


def test_what_has_ended_is_refused(worker: Caller, key: TryKey, ops: Ops, tokens: TryTokens):
    gone, later = TryKey(999, 1), TryKey(key.ti_id, 7)
    change(ops, key, ended_at=1.0)
    why = "it has ended, or is not known"
    refused = tuple(Refusal(one, why) for one in (gone, key, later))
    assert worker.say(claim(tokens, gone, key, later)) == [Claimed(refused=refused)]


def test_a_claim_needs_the_token_of_each_try(worker: Caller, key: TryKey, tokens: TryTokens):
    wrong = Refusal(key, "its token is wrong")
    assert worker.say(Claim(keys=(key,), tokens=())) == [Claimed(refused=(wrong,))]
    foreign = tokens.make(TryKey(key.ti_id, 2))
    assert worker.say(Claim(keys=(key,), tokens=(foreign,))) == [Claimed(refused=(wrong,))]
    assert worker.say(claim(tokens, key)) == [Claimed(granted=(key,))]


def test_a_pod_claims_its_own_try_only(api: Api, key: TryKey, tokens: TryTokens):
    pod = Caller(api, tokens.make(key), "pod")
    assert pod.greet().status_code == 200
    foreign = TryKey(key.ti_id, 2)
    (answer,) = pod.say(claim(tokens, foreign, key))
    assert answer == Claimed(granted=(key,), refused=(Refusal(foreign, "its token is wrong"),))


def test_many_tries_are_claimed_at_once(worker: Caller, key: TryKey, tokens: TryTokens):
    unknown = [TryKey(number, 1) for number in range(1000, 2500)]
    (answer,) = worker.say(claim(tokens, *unknown, key))
    assert isinstance(answer, Claimed)
    assert answer.granted == (key,)
    assert {refusal.key for refusal in answer.refused} == set(unknown)


def test_a_cleared_try_that_was_claimed_and_not_started_is_not_given_again(
    worker: Caller, other: Caller, key: TryKey, ops: Ops, tokens: TryTokens
):
    worker.say(claim(tokens, key))
    ask(ops, ClearTasks(dag_id="flights", run_id="live", task_ids=("load",)))
    for caller in (worker, other):
        (answer,) = caller.say(claim(tokens, key))
        assert isinstance(answer, Claimed)
        assert answer.granted == ()


# --- sources ----------------------------------------------------------------------------------------------------------
def test_the_text_of_a_dag_file_is_given_to_whoever_has_a_live_try(worker: Caller, key: TryKey, tokens: TryTokens):
    asked = GetSource(key=key, file_hash="0", token=tokens.make(key))
    assert worker.say(asked) == [Source(file_hash="0", text=b"# the source")]
    assert worker.say(msgspec.structs.replace(asked, file_hash="nowhere")) == [Source(file_hash="nowhere")]


def test_the_text_of_a_dag_file_is_given_to_nobody_else(worker: Caller, key: TryKey, tokens: TryTokens):
    assert worker.say(GetSource(key=key, file_hash="0", token="")) == [Source(file_hash="0")]
    gone = TryKey(999, 1)
    assert worker.say(GetSource(key=gone, file_hash="0", token=tokens.make(gone))) == [Source(file_hash="0")]


def test_a_try_is_given_no_text_of_other_files(ops: Ops, worker: Caller, key: TryKey, tokens: TryTokens):
    with ops.db.transaction() as conn:
        other = ParsedFile(rel_path="other.py", file_hash="another")
        dags.save_file(conn, "dags", other, "# of another team", 1.0)
        conn.execute(insert(dag_code).values(file_hash="former", source=b"# what a file was before"))
    asked = GetSource(key=key, file_hash="another", token=tokens.make(key))
    assert worker.say(asked) == [Source(file_hash="another")]
    before = msgspec.structs.replace(asked, file_hash="former")
    assert worker.say(before) == [Source(file_hash="former", text=b"# what a file was before")]


# --- another key ------------------------------------------------------------------------------------------------------
def test_a_runner_whose_tries_have_tokens_of_another_key_hears_so_and_loses_nothing(
    worker: Caller, key: TryKey, tokens: TryTokens
):
    worker.say(claim(tokens, key))
    other = TryTokens((b"another key",), "another").make(key)
    end = Ended(key=key, at=1.0, outcome=Outcome.SUCCESS, token=other)
    for message in (Heartbeat(live=(key,), tokens=(other,)), Reports(seq=1, reports=(end,))):
        answer = worker.post(f"/sessions/{worker.session}/messages", frame(message))
        assert answer.status_code == 409
        assert "let the old one follow the new one in [core] secret_key" in answer.json()["detail"]
    assert worker.say(Heartbeat(live=(key,), tokens=(tokens.make(key),))) == [Wanted()]


def test_a_runner_is_not_held_up_by_tries_that_are_not_its_own(
    worker: Caller, other: Caller, key: TryKey, tokens: TryTokens
):
    other.say(claim(tokens, key))
    assert worker.say(Heartbeat(live=(key,), tokens=("wrong",))) == [Wanted()]


# --- workers ----------------------------------------------------------------------------------------------------------
def test_a_heartbeat_tells_what_the_worker_has(api: Api, ops: Ops):
    caller = Caller(
        api,
        remote_runners.make_runner_token(ops, "workers").text,
        executor="celery",
        queues=("gpu",),
        worker="big",
        home="h1",
        lease=60.0,
        clock=api.now() + 120.0,
    )
    caller.greet()
    caller.say(Heartbeat(live=(), slots=16, memory_free=2**30, memory=2**34))
    state = state_of(ops, "r")
    assert (state.worker, state.home, state.lease) == ("big", "h1", 60.0)
    assert (state.slots, state.memory_free, state.memory) == (16, 2**30, 2**34)
    assert 110.0 < state.clock < 130.0


def test_a_workers_name_is_its_homes_while_it_lives(api: Api, ops: Ops, monkeypatch: pytest.MonkeyPatch):
    token = remote_runners.make_runner_token(ops, "workers").text
    first = Caller(api, token, "first", worker="big", home="h1")
    assert first.greet().status_code == 200
    second = Caller(api, token, "second", worker="big", home="h2")
    answer = second.greet()
    assert answer.status_code == 409
    assert "a worker on far (process 7) is called 'big' already" in answer.json()["detail"]
    assert Caller(api, token, "third", worker="big", home="h1").greet().status_code == 200
    assert Caller(api, token, "fourth", worker="small", home="h2").greet().status_code == 200
    with ops.db.transaction() as conn:
        rows = [row for row in processes.list_processes(conn) if row.id in ("first", "third")]
        processes.renew(conn, [msgspec.structs.replace(row, seen_at=row.seen_at - 60.0) for row in rows])
    assert second.greet().status_code == 200


def test_of_two_workers_of_one_name_that_come_at_once_one_is_let_in(
    ops: Ops, db: Database, monkeypatch: pytest.MonkeyPatch
):
    both = threading.Barrier(2)
    check = remote_runners._check_worker

    def check_and_meet(*arguments: Any) -> None:
        check(*arguments)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # in vain, where the other one has to wait for what becomes of this

    def come(home: str) -> bool:
        hello = Hello(protocol=1, runner=f"r-{home}", host="far", pid=7, version="1", worker="big", home=home)
        try:
            remote_runners.register(dataclasses.replace(ops, db=db), hello, "visitor", None)
        except Conflict:
            return False
        return True

    monkeypatch.setattr(remote_runners, "_check_worker", check_and_meet)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(come, ("h1", "h2"))) == [False, True]


def test_what_people_want_of_a_worker_comes_with_each_heartbeat(api: Api, ops: Ops):
    token = remote_runners.make_runner_token(ops, "workers").text
    caller = Caller(api, token, worker="big", home="h1")
    caller.greet()
    assert caller.say(Heartbeat(live=())) == [Wanted()]
    with ops.db.transaction() as conn:
        worker_orders.put(conn, WorkerOrder(worker="big", kind=OrderKind.DRAIN, by="ada", at=1.0))
    assert caller.say(Heartbeat(live=())) == [Wanted(drain=True)]
    assert state_of(ops, "r").drained
    next_one = Caller(api, token, "r2", worker="big", home="h1")
    next_one.greet()
    with ops.db.transaction() as conn:
        worker_orders.put(conn, WorkerOrder(worker="big", kind=OrderKind.STOP, by="ada", at=1.0, runner="r"))
    assert caller.say(Heartbeat(live=())) == [Wanted(stop=True)]
    assert next_one.say(Heartbeat(live=())) == [Wanted()]


# --- neighbouring releases --------------------------------------------------------------------------------------------
def raw(*fields: object) -> bytes:
    """A frame as another release may send it."""
    body = msgspec.msgpack.encode(fields)
    return len(body).to_bytes(4, "big") + body


def test_a_newer_runner_that_still_speaks_this_version_is_welcome(api: Api, ops: Ops, worker: Caller):
    worker.hello = msgspec.structs.replace(worker.hello, protocol=PROTOCOL + 1, oldest=PROTOCOL)
    answer = worker.greet()
    assert answer.status_code == 200
    welcome = msgspec.msgpack.decode(answer.content, type=Welcome)
    assert welcome.protocol == PROTOCOL
    assert abs(welcome.now - api.now()) < 60.0


def test_what_a_newer_runner_says_besides_is_passed_over(
    worker: Caller, key: TryKey, tokens: TryTokens, caplog: pytest.LogCaptureFixture
):
    mine = claim(tokens, key)
    longer = raw("claim", mine.keys, mine.tokens, "a field of later", {"and": 1})
    answer = worker.post(
        f"/sessions/{worker.session}/messages", raw("news", 1) + longer + raw("news", 2) + frame(Heartbeat(live=()))
    )
    assert answer.content == frame(Claimed(granted=(key,))) + frame(Wanted())
    assert caplog.text.count("says what this server does not know: 'news'") == 1


def test_an_older_runner_that_says_less_is_understood(
    worker: Caller, alone: TryKey, ops: Ops, tokens: TryTokens, api: Api
):
    key = alone
    caller = Caller(api, worker.headers["Authorization"].removeprefix("Bearer "))
    hello = raw("hello", 1, "old", "far", 7, "0.9", [], [], "", "celery", ["gpu"], 4)
    answer = caller.post("/sessions", hello)
    caller.session = msgspec.msgpack.decode(answer.content)["session"]
    beat = raw("heartbeat", [tuple(key)], [tokens.make(key)])
    assert caller.post(f"/sessions/{caller.session}/messages", beat).content == frame(Wanted())
    assert state_of(ops, "old").tries == (key,)
    end = msgspec.to_builtins(Ended(key=key, at=1.0, outcome=Outcome.SUCCESS, token=tokens.make(key)))
    told = caller.post(f"/sessions/{caller.session}/messages", raw("reports", 1, [{**end, "colour": "red"}]))
    assert told.content == raw("ack", 1)


def test_a_claim_holds_at_every_api_process(worker: Caller, other: Caller, key: TryKey, api: Api, tokens: TryTokens):
    worker.say(claim(tokens, key))
    other.client = TestClient(make_task_app(api))
    (answer,) = other.say(claim(tokens, key))
    assert isinstance(answer, Claimed)
    assert answer.granted == ()
