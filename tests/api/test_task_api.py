"""The task API by itself: who may say what, what is refused, and what becomes of reports, leases and logs."""

import dataclasses
import time
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from airloom.api.remote.app import make_task_app
from airloom.api.state import Api
from airloom.model.errors import StoreError
from airloom.model.events import CancelRun, Reported, TriggerRun
from airloom.model.processes import ProcessKind, ProcessRow
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Started, TryKey, XComValue
from airloom.model.wire import (
    HOLDS,
    OLDEST_PROTOCOL,
    PROTOCOL,
    Ack,
    Ask,
    CancelTries,
    GetConnection,
    GetVariable,
    Heartbeat,
    LogAck,
    LogChunk,
    Reply,
    Reports,
    SetVariable,
    Wanted,
    frame,
)
from airloom.operations import remote_runners, try_logs, variables
from airloom.operations.asking import ask
from airloom.operations.credentials import make_token
from airloom.operations.ops import Ops, open_ops
from airloom.operations.try_logs import TryLog
from airloom.operations.try_tokens import TryTokens
from airloom.operations.users import UserChange, add_user
from airloom.sections import Settings
from airloom.store import inbox, processes, runs
from tests.api.caller import HEADERS, ROOT, Caller, in_hand
from tests.logs import read_bytes
from tests.operations.leading import leading
from tests.waiting import wait_for


def waiting(ops: Ops) -> list[Any]:
    """The reports in the inbox."""
    with ops.db.reading() as conn:
        found = [command for _, command in inbox.take(conn, 100)]
    return [report for command in found if isinstance(command, Reported) for report in command.reports]


# --- who may come in --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "token", ["", "alm_0_0", "alm_", "alt_1_1_0", "alt_x_y_z", "alt_99999999999999999999_1_0", "é"]
)
def test_nobody_comes_in_without_a_token_of_ours(api: Api, token: str):
    caller = Caller(api, "")
    headers = {**HEADERS, "Authorization": f"Bearer {token}".encode()}
    answer = caller.client.post(f"{ROOT}/sessions", content=frame(caller.hello), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "airloom tokens add-runner" in answer.json()["detail"]


def test_a_users_api_token_is_no_runners(api: Api, ops: Ops):
    add_user(ops, "ada", UserChange(active=True))
    token = make_token(ops, "ada", "mine").text
    assert Caller(api, token).greet().status_code == 401


def test_a_runners_token_is_good_for_nothing_else(api: Api, ops: Ops, client: TestClient):
    token = remote_runners.make_runner_token(ops, "workers").text
    client.app.dependency_overrides.clear()  # type: ignore[attr-defined]
    assert client.get("/api/v1/dags", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_a_deleted_token_is_refused_within_seconds(api: Api, ops: Ops, monkeypatch: pytest.MonkeyPatch):
    made = remote_runners.make_runner_token(ops, "workers")
    caller = Caller(api, made.text)
    assert caller.greet().status_code == 200
    remote_runners.delete_runner_token(ops, made.row.id)
    later = time.monotonic() + 6.0
    monkeypatch.setattr("airloom.api.remote.guard.time.monotonic", lambda: later)
    assert caller.greet().status_code == 401


def test_who_guesses_tokens_has_to_wait_and_a_runner_that_is_known_has_not(api: Api, worker: Caller):
    known = worker.headers["Authorization"]
    worker.headers["Authorization"] = "Bearer alm_0_0"
    statuses = [worker.greet().status_code for _ in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    worker.headers["Authorization"] = known
    assert worker.greet().status_code == 200


def test_a_session_is_of_whoever_has_made_it(api: Api, ops: Ops, worker: Caller, alone: TryKey, tokens: TryTokens):
    other = Caller(api, remote_runners.make_runner_token(ops, "others").text, runner="other")
    other.session = worker.session
    assert other.post(f"/sessions/{worker.session}/messages", b"").status_code == 404
    pod = Caller(api, tokens.make(alone))
    assert pod.post(f"/sessions/{worker.session}/messages", b"").status_code == 404
    for session in ("x", "cg.00", "%00.é", "cg"):
        assert worker.post(f"/sessions/{session}/messages", b"").status_code == 404


def test_another_api_process_knows_the_session(api: Api, worker: Caller, alone: TryKey, tokens: TryTokens):
    worker.client = TestClient(make_task_app(api))
    started = Started(key=alone, at=1.0, token=tokens.make(alone))
    assert worker.say(Reports(seq=1, reports=(started,))) == [Ack(seq=1)]


def test_a_server_without_its_database_says_when_no_lease_runs_out(api: Api, worker: Caller):
    away = [0.0]
    worker.client = TestClient(make_task_app(api, lambda: away[0]))
    for seconds, held in ((0.0, False), (20.0, False), (60.0, True), (500.0, True), (600.0, False)):
        away[0] = seconds
        answer = worker.greet()
        assert (answer.status_code, HOLDS in answer.headers) == ((503, True) if held else (200, False))


def test_a_name_that_another_process_has_is_refused(
    api: Api, ops: Ops, worker: Caller, alone: TryKey, tokens: TryTokens
):
    row = ProcessRow(
        id="scheduler-1", kind=ProcessKind.SCHEDULER, host="h", pid=1, version="1", started_at=1.0, seen_at=1.0
    )
    with ops.db.transaction() as conn:
        processes.renew(conn, [row])
    worker.hello = msgspec.structs.replace(worker.hello, runner="scheduler-1")
    assert worker.greet().status_code == 409
    assert Caller(api, tokens.make(alone), runner="r").greet().status_code == 409


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"protocol": PROTOCOL + 2, "oldest": PROTOCOL + 1}, "update the server"),
        ({"protocol": PROTOCOL + 1}, "update the server"),
        ({"protocol": OLDEST_PROTOCOL - 1}, "update the runner"),
        ({"lease": -1.0}, "numbers"),
        ({"clock": float("nan")}, "numbers"),
        ({"worker": "a\nb"}, "names of runners"),
        ({"owner": "another"}, "another database"),
        ({"runner": ""}, "names of runners"),
        ({"runner": "a\nb"}, "names of runners"),
        ({"host": "\0"}, "names of runners"),
        ({"queues": ("q" * 300,)}, "names of runners"),
        ({"pid": 2**63}, "numbers"),
    ],
)
def test_a_greeting_that_cannot_be_is_refused_with_the_reason(worker: Caller, fields: dict[str, Any], says: str):
    worker.hello = msgspec.structs.replace(worker.hello, **fields)
    answer = worker.greet()
    assert answer.status_code in (409, 422)
    assert says in answer.json()["detail"]


# --- bodies -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"\0\0\0\1\x90", {"Content-Encoding": "gzip"}, 415),
        (b"\0\0\0\3abc", {}, 422),
        (b"\xff\xff\xff\xff", {}, 422),
        (b"\0\0\0\5ab", {}, 400),
        (b"", {}, 200),
    ],
)
def test_only_whole_frames_are_taken(worker: Caller, body: bytes, headers: dict[str, str], status: int):
    assert worker.post(f"/sessions/{worker.session}/messages", body, **headers).status_code == status


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(worker: Caller):
    assert worker.post("/sessions", bytes(5 * 1024 * 1024)).status_code == 413
    parts = (bytes(1024 * 1024) for _ in range(8))
    chunked = worker.client.post(f"{ROOT}/sessions", content=parts, headers=worker.headers)
    assert chunked.status_code == 411


def test_a_greeting_is_one_hello(worker: Caller):
    assert worker.post("/sessions", b"").status_code == 400
    assert worker.post("/sessions", frame(Heartbeat(live=()))).status_code == 400


def test_there_is_nothing_else(worker: Caller):
    assert worker.client.get(f"{ROOT}/openapi.json", headers=worker.headers).status_code == 404
    assert worker.client.get("/api/v1/dags", headers=worker.headers).status_code == 404


# --- reports ----------------------------------------------------------------------------------------------------------
def test_a_report_is_acknowledged_when_it_is_in_the_inbox_without_its_token(
    worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens
):
    end = Ended(key=alone, at=1.0, outcome=Outcome.SUCCESS, token=tokens.make(alone), runner="r")
    assert worker.say(Reports(seq=1, reports=(end,)), Reports(seq=2, reports=(end,))) == [Ack(seq=2)]
    assert waiting(ops) == [msgspec.structs.replace(end, token="")] * 2


def test_a_batch_that_comes_again_is_known(worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens):
    message = Reports(seq=3, reports=(Started(key=alone, at=1.0, token=tokens.make(alone)),))
    for _ in range(3):
        assert worker.say(message) == [Ack(seq=3)]
    assert len(waiting(ops)) == 1


def test_a_report_without_its_tries_token_counts_for_nothing(
    worker: Caller, api: Api, ops: Ops, alone: TryKey, tokens: TryTokens
):
    other = tokens.make(TryKey(alone.ti_id, 2))
    strange = TryTokens((b"x" * 32,), "another").make(alone)
    for number, token in enumerate(("", other, strange, tokens.make(alone)[:-1] + "\xe9"), 1):
        assert worker.say(Reports(seq=number, reports=(Started(key=alone, at=1.0, token=token),))) == [Ack(seq=number)]
    assert waiting(ops) == []


def test_what_is_said_of_a_try_that_has_ended_counts_for_nothing(worker: Caller, ops: Ops, tokens: TryTokens):
    gone = TryKey(999, 1)
    message = Reports(seq=1, reports=(Ended(key=gone, at=1.0, outcome=Outcome.SUCCESS, token=tokens.make(gone)),))
    assert worker.say(message) == [Ack(seq=1)]
    assert waiting(ops) == []


@pytest.mark.parametrize("at", [float("nan"), float("inf"), 1e18, -1e300, -1.0])
def test_a_time_that_cannot_be_is_now(worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens, at: float):
    token = tokens.make(alone)
    end = Ended(key=alone, at=at, started_at=at, outcome=Outcome.SUCCESS, token=token)
    worker.say(Reports(seq=1, reports=(end, HandedBack(key=alone, at=at, detail="x" * 10**6, token=token))))
    ended, back = waiting(ops)
    assert ended.started_at == ended.at == pytest.approx(time.time(), abs=60)
    assert len(back.detail) < 20_000


def test_xcoms_beyond_the_limit_fail_their_try(api: Api, ops: Ops, alone: TryKey, tokens: TryTokens):
    small = msgspec.structs.replace(api.settings, xcom=msgspec.structs.replace(api.settings.xcom, max_size=100))
    caller = Caller(dataclasses.replace(api, settings=small), remote_runners.make_runner_token(ops, "w").text)
    caller.greet()
    value = XComValue(key="return_value", value=b'"' + b"x" * 200 + b'"')
    end = Ended(key=alone, at=1.0, outcome=Outcome.SUCCESS, xcoms=(value,), token=tokens.make(alone))
    assert caller.say(Reports(seq=1, reports=(end,))) == [Ack(seq=1)]
    (kept,) = waiting(ops)
    assert (kept.outcome, kept.cause, kept.xcoms) == (Outcome.FAILED, Cause.RESULT, ())
    assert "[xcom] max_size" in kept.detail


# --- questions --------------------------------------------------------------------------------------------------------
def test_only_a_live_try_is_answered_and_only_with_its_token(
    worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens
):
    variables.set_variable(ops, "city", "Oslo")
    gone = TryKey(999, 1)
    question = GetVariable(key="city")
    good, forged, late = worker.say(
        Ask(id=1, key=alone, request=question, token=tokens.make(alone)),
        Ask(id=2, key=alone, request=question, token=tokens.make(gone)),
        Ask(id=3, key=gone, request=question, token=tokens.make(gone)),
    )
    assert good == Reply(id=1, value="Oslo")
    assert isinstance(forged, Reply)
    assert isinstance(late, Reply)
    assert (forged.value, late.value) == (None, None)
    assert "token is wrong" in (forged.error or "")
    assert "not running any more" in (late.error or "")


def test_a_task_sets_variables_and_asks_for_connections(worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens):
    token = tokens.make(alone)
    answers = worker.say(
        Ask(id=1, key=alone, request=SetVariable(key="v", value="1"), token=token),
        Ask(id=2, key=alone, request=GetConnection(conn_id="none"), token=token),
    )
    assert answers == [Reply(id=1, value=True), Reply(id=2, value=None)]
    assert variables.find_variable(ops, "v") == "1"


def test_large_answers_come_whole(worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens):
    variables.set_variable(ops, "big", "x" * 300_000)
    token = tokens.make(alone)
    asks = [Ask(id=n, key=alone, request=GetVariable(key="big"), token=token) for n in range(5)]
    answers = worker.say(*asks, Heartbeat(live=(alone,), tokens=(token,)))
    assert [len(answer.value) for answer in answers if isinstance(answer, Reply)] == [300_000] * 5


# --- leases -----------------------------------------------------------------------------------------------------------
def test_a_heartbeat_leases_what_is_wanted_and_ends_what_is_not(
    worker: Caller, ops: Ops, key: TryKey, tokens: TryTokens
):
    gone = TryKey(999, 1)
    beat = Heartbeat(live=(key, gone), tokens=(tokens.make(key), tokens.make(gone)))
    answer, wanted = worker.say(beat)
    assert wanted == Wanted()
    assert isinstance(answer, CancelTries)
    assert [cancel.key for cancel in answer.cancels] == [gone]
    [row] = in_hand(ops, key)
    assert (row.id, row.state["executor"]) == ("r", "celery")
    ask(ops, CancelRun(dag_id="flights", run_id="live"))
    answer, wanted = worker.say(beat)
    assert wanted == Wanted()
    assert isinstance(answer, CancelTries)
    assert {cancel.key for cancel in answer.cancels} == {key, gone}
    # It is ending it, which may take long: until then nobody may take it for lost.
    assert in_hand(ops, key) != []


def test_a_lease_needs_its_tries_token(worker: Caller, ops: Ops, alone: TryKey):
    assert worker.say(Heartbeat(live=(alone,))) == [Wanted()]
    assert worker.say(Heartbeat(live=(alone,), tokens=("alt_1_1_0",))) == [Wanted()]
    assert in_hand(ops, alone) == []


def test_a_runner_whose_row_is_gone_has_to_greet_again_and_has_its_leases(
    worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens
):
    beat = Heartbeat(live=(alone,), tokens=(tokens.make(alone),))
    with ops.db.transaction() as conn:
        processes.remove(conn, ["r"])
    assert worker.post(f"/sessions/{worker.session}/messages", frame(beat)).status_code == 404
    worker.greet()
    worker.say(beat)
    worker.greet()
    assert in_hand(ops, alone) != []
    with ops.db.reading() as conn:
        row = processes.get_process(conn, "r")
    assert row is not None
    assert (row.kind, row.host, row.state["queues"]) == (ProcessKind.RUNNER, "far", ["gpu"])


def test_a_long_upload_keeps_the_leases(worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens):
    worker.say(Heartbeat(live=(alone,), tokens=(tokens.make(alone),)))
    [credential] = remote_runners.list_runner_tokens(ops)
    later = dataclasses.replace(ops, now=lambda: time.time() + 100.0)
    [before] = in_hand(ops, alone)
    remote_runners.touch(later, "r", credential.id)
    [after] = in_hand(ops, alone)
    assert after.seen_at > before.seen_at + 90.0


def test_a_session_that_is_older_than_the_name_of_a_runner_takes_nothing_from_it(
    api: Api, ops: Ops, alone: TryKey, tokens: TryTokens
):
    # A task that has ended may still have a session for a name that nobody had then.
    gone = Caller(api, tokens.make(TryKey(999, 1)))
    gone.greet()
    worker = Caller(api, remote_runners.make_runner_token(ops, "workers").text)
    assert worker.greet().status_code == 200
    worker.say(Heartbeat(live=(alone,), tokens=(tokens.make(alone),)))
    assert gone.post(f"/sessions/{gone.session}/messages", frame(Heartbeat(live=()))).status_code == 404
    assert in_hand(ops, alone) != []


# --- a pod, which has only its try's token ----------------------------------------------------------------------------
def test_a_pod_speaks_of_its_own_try_only(api: Api, ops: Ops, alone: TryKey, tokens: TryTokens):
    pod = Caller(api, tokens.make(alone), runner="pod")
    assert pod.greet().status_code == 200
    other = TryKey(alone.ti_id + 1, 1)
    mine = Started(key=alone, at=1.0, token=tokens.make(alone))
    assert pod.say(Reports(seq=1, reports=(mine, Started(key=other, at=1.0, token=tokens.make(other))))) == [Ack(seq=1)]
    assert [report.key for report in waiting(ops)] == [alone]


def test_the_token_of_a_try_that_has_ended_opens_nothing_and_its_runner_hears_that(
    api: Api, ops: Ops, tokens: TryTokens
):
    gone = TryKey(999, 1)
    pod = Caller(api, tokens.make(gone), runner="pod")
    assert pod.greet().status_code == 200
    with ops.db.reading() as conn:
        assert processes.get_process(conn, "pod") is None
    answer, _ = pod.say(Heartbeat(live=(gone,), tokens=(tokens.make(gone),)))
    assert isinstance(answer, CancelTries)


# --- logs -------------------------------------------------------------------------------------------------------------
def text_of(ops: Ops, key: TryKey) -> bytes:
    """What the server has of the log of a try of `load`."""
    return read_bytes(ops, TryLog(key=key, dag_id="flights", run_id="live", task_id="load", map_index=-1))


def test_log_chunks_are_put_together_whatever_comes_twice_or_too_soon(
    worker: Caller, api: Api, ops: Ops, alone: TryKey, tokens: TryTokens
):
    def send(offset: int, data: bytes) -> int | None:
        (ack,) = worker.say(LogChunk(key=alone, offset=offset, data=data, token=tokens.make(alone)))
        assert isinstance(ack, LogAck)
        return ack.offset

    assert send(0, b"") == 0
    assert text_of(ops, alone) == b""
    assert send(5, b"world") == 0
    assert send(0, b"hello") == 5
    assert send(0, b"hello") == 5
    assert send(3, b"lo wor") == 9
    assert send(9, b"ld") == 11
    assert text_of(ops, alone) == b"hello world"
    assert not list(api.settings.core.home.glob("logs/**/*.log"))


def test_the_rest_of_a_log_and_the_end_of_its_try_are_one_commit(
    worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens, monkeypatch: pytest.MonkeyPatch
):
    token = tokens.make(alone)
    rest = LogChunk(key=alone, offset=0, data=b"the last line", token=token, last=True)
    end = Reports(seq=1, reports=(Ended(key=alone, at=1.0, outcome=Outcome.SUCCESS, token=token),))

    def fails(*_: object) -> int:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("airloom.store.inbox.put", fails)
        body = b"".join(map(frame, (rest, end)))
        assert worker.post(f"/sessions/{worker.session}/messages", body).status_code == 503
    assert text_of(ops, alone) == b""
    whole = LogAck(key=alone, offset=13)
    assert worker.say(rest, end) == [whole, Ack(seq=1)]
    assert text_of(ops, alone) == b"the last line"
    assert len(waiting(ops)) == 1
    # Both again, for the answer was lost: the report is known, the log is where it was.
    assert worker.say(rest, end) == [whole, Ack(seq=1)]
    assert len(waiting(ops)) == 1


def test_a_log_needs_its_tries_token_and_a_try_that_there_is(
    worker: Caller, ops: Ops, alone: TryKey, tokens: TryTokens
):
    gone = TryKey(999, 1)
    refused = worker.say(
        LogChunk(key=alone, offset=0, data=b"x", token=tokens.make(gone)),
        LogChunk(key=gone, offset=0, data=b"x", token=tokens.make(gone)),
    )
    assert refused == [LogAck(key=alone, offset=None), LogAck(key=gone, offset=None)]
    assert text_of(ops, alone) == b""


def test_a_log_is_taken_to_its_end_after_the_end_of_its_try_for_a_while(
    settings: Settings, api: Api, tokens: TryTokens
):
    with open_ops(settings) as ops, leading(settings):
        ask(ops, TriggerRun(dag_id="flights", run_id="live"))
        with ops.db.reading() as conn:
            run = runs.find_run(conn, "flights", "live")
            assert run is not None
            key = TryKey(next(ti for ti in runs.list_tis(conn, run.id) if ti.task_id == "load").id, 1)
        wait_for(lambda: _has_ended(ops, key), "the end of the try")
        pod = Caller(api, tokens.make(key), runner="pod")
        pod.greet()
        chunk = LogChunk(key=key, offset=0, data=b"x", token=tokens.make(key))
        late = dataclasses.replace(ops, now=lambda: time.time() + try_logs.GRACE + 60)
        assert try_logs.keep_chunks(late, [chunk], 1000) == [None]
        assert pod.say(chunk) == [LogAck(key=key, offset=1)]
        assert pod.say(msgspec.structs.replace(chunk, offset=1, last=True)) == [LogAck(key=key, offset=2)]
        # It is whole: nothing is added any more.
        assert pod.say(msgspec.structs.replace(chunk, offset=2)) == [LogAck(key=key, offset=None)]


def _has_ended(ops: Ops, key: TryKey) -> bool:
    with ops.db.reading() as conn:
        return any(row.ended_at is not None for row in runs.list_tries(conn, key.ti_id))


def test_a_log_has_a_limit_which_it_tells(api: Api, ops: Ops, alone: TryKey, tokens: TryTokens):
    runner = msgspec.structs.replace(api.settings.runner, log_max_bytes=1000)
    small = msgspec.structs.replace(api.settings, runner=runner)
    caller = Caller(dataclasses.replace(api, settings=small), remote_runners.make_runner_token(ops, "w").text)
    caller.greet()
    chunk = LogChunk(key=alone, offset=0, data=b"x" * 20_000, token=tokens.make(alone))
    assert caller.say(chunk) == [LogAck(key=alone, offset=None)]
    assert caller.say(chunk) == [LogAck(key=alone, offset=None)]
    text = text_of(ops, alone).decode()
    assert text.startswith("x" * 1000)
    assert "has reached its limit" in text.splitlines()[-1]
    assert len(text) < 6000
