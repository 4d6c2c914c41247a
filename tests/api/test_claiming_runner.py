"""A real runner process that claims its work: duplicates, servers that go away, orders, names."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from airloom.model.processes import OrderKind, ProcessKind, RunnerState, WorkerOrder
from airloom.model.report import Cause, Ended, TryKey
from airloom.model.wire import ALIVE, HOLDS, CancelTries, Claimed, Reports, Slots, Standing, Submit
from airloom.model.work import Cancel, Work
from airloom.operations import remote_runners, workers
from airloom.store import processes, runs, worker_orders
from airloom.store.feed import tell
from tests.api.remote_rig import Remote, Visit, remote_rig
from tests.api.test_remote_runner import HOLD
from tests.waiting import DEADLINE, alive, wait_for

TAKING = Standing(taking=True)


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        remote.executor.holding = True
        yield remote


def handed_out(remote: Remote, tmp_path: Path) -> tuple[str, Work]:
    """A run whose task holds, as it was handed out and nobody has it yet."""
    remote.write("held", HOLD.format(marks=str(tmp_path)))
    run_id = remote.trigger("held")
    key = remote.key_of("hold")
    return run_id, next(work for work in remote.executor.held if work.key == key)


def visit(remote: Remote) -> Visit:
    assert remote.local is not None
    return Visit(remote.local.work_socket)


def runner_of(remote: Remote, key: TryKey) -> str | None:
    """Whose the try is, as the database tells."""
    with remote.db.reading() as conn:
        return runs.list_tries(conn, key.ti_id)[key.try_number - 1].runner


# --- claims -----------------------------------------------------------------------------------------------------------
def test_work_is_claimed_before_it_starts_and_a_second_message_starts_nothing(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, work = handed_out(remote, tmp_path)
    with visit(remote) as first, visit(remote) as second:
        first.wait_for(TAKING)
        first.say(Submit(works=(work, work)))
        assert first.hear(Claimed) == Claimed(granted=(work.key,))
        assert str(runner_of(remote, work.key)).startswith(socket.gethostname())
        second.say(Submit(works=(work,)))
        assert second.hear(Claimed) == Claimed(granted=(work.key,))
        wait_for((tmp_path / "pid").exists, "the task")
        (tmp_path / "go").touch()
        assert second.hear(Reports).reports[0].key == work.key
        second.say(Submit(works=(work,)))
        assert second.hear(Claimed).refused[0].reason == "it has ended here"
    assert remote.ended("held", run_id) == "success"
    assert [line.text for line in remote.log(work.key)].count("before") == 1


def test_a_try_that_another_runner_has_is_refused(remote: Remote, tmp_path: Path):
    remote.start_runner()
    _, work = handed_out(remote, tmp_path)
    remote_runners.claim(remote.ops, "another", (work.key,))
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        worker.say(Submit(works=(work,)))
        (refusal,) = worker.hear(Claimed).refused
        assert refusal == (work.key, "the runner another has it")
    assert not (tmp_path / "pid").exists()


def test_a_worker_whose_server_is_away_takes_nothing_and_claims_when_it_is_back(remote: Remote, tmp_path: Path):
    run_id, work = handed_out(remote, tmp_path)
    (tmp_path / "go").touch()
    remote.api.stop()
    remote.start_runner()
    with visit(remote) as worker:
        worker.refused(f"the server at {remote.api.url} is not reached: Connection refused")
        worker.say(Submit(works=(work,)))
        remote.api.start()
        assert worker.hear(Claimed) == Claimed(granted=(work.key,))
        assert remote.ended("held", run_id) == "success"


def test_what_was_given_back_while_the_server_was_away_is_not_claimed(remote: Remote, tmp_path: Path):
    _, work = handed_out(remote, tmp_path)
    remote.api.stop()
    remote.start_runner()
    with visit(remote) as worker:
        worker.say(Submit(works=(work,)))
        worker.say(CancelTries(cancels=(Cancel(key=work.key, executor="celery", reason="it was given back"),)))
        remote.api.start()
        worker.wait_for(TAKING)
        assert runner_of(remote, work.key) is None
    with visit(remote) as gone:
        gone.wait_for(TAKING)
    assert runner_of(remote, work.key) is None


SLOW = """
import time
from datetime import timedelta
from pathlib import Path

from airloom import dag, task

while not Path({marks!r}, "go").exists() and Path({marks!r}, "loaded").exists():
    time.sleep(0.01)


@dag(schedule=None)
def slow():
    @task(retries=0)
    def ran(): ...

    ran()


slow()
"""


def test_a_try_that_a_killed_runner_had_and_not_started_is_told_as_lost_by_the_next_one(remote: Remote, tmp_path: Path):
    remote.write("slow", SLOW.format(marks=str(tmp_path)))
    (tmp_path / "loaded").touch()
    run_id = remote.trigger("slow")
    key = remote.key_of("ran")
    remote.start_runner()
    with visit(remote) as worker:
        worker.say(Submit(works=(remote.executor.works[key],)))
        assert worker.hear(Claimed) == Claimed(granted=(key,))
    remote.kill_runner()
    (tmp_path / "go").touch()
    remote.executor.holding = False
    remote.start_runner()
    assert remote.ended("slow", run_id) == "success"
    with remote.db.reading() as conn:
        lost, again = runs.list_tries(conn, key.ti_id)
    assert (lost.cause, again.state) == (Cause.LOST, "success")


# --- out of touch -----------------------------------------------------------------------------------------------------
@contextmanager
def silent(port: int) -> Iterator[None]:
    """Somebody listens at the server's port and never answers, as behind a network that is cut."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(64)
        yield


class _Away(http.server.BaseHTTPRequestHandler):
    """Answers as an API does whose database is away; `server.holds`: and that no lease runs out meanwhile."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b'{"detail": "the database does not answer"}'
        self.send_response(503)
        self.send_header("Content-Type", "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.holds:  # type: ignore[attr-defined]
            self.send_header(HOLDS, "1")
        self.end_headers()
        self.wfile.write(body)
        self.server.asked.append(time.monotonic())  # type: ignore[attr-defined]

    do_GET = do_POST

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@contextmanager
def database_away(port: int, *, holds: bool) -> Iterator[list[float]]:
    """An API whose database is away; gives when it was asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), _Away) as server:
        server.holds = holds  # type: ignore[attr-defined]
        asked: list[float] = []
        server.asked = asked  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def running(remote: Remote, tmp_path: Path, lease: float) -> tuple[str, Work, int]:
    """The task runs on a runner with such a lease: the run, its work, its process."""
    assert remote.local is not None
    remote.set_up_runner((remote.worker / "token").read_text(), lease=lease, grace=0.2)
    remote.start_runner()
    run_id, work = handed_out(remote, tmp_path)
    remote.executor.holding = False
    remote.executor.hand(work)
    wait_for((tmp_path / "pid").exists, "the task to hold")
    return run_id, work, int((tmp_path / "pid").read_text())


def test_a_runner_that_is_out_of_touch_for_too_long_ends_its_tries_itself(remote: Remote, tmp_path: Path):
    run_id, work, pid = running(remote, tmp_path, lease=4.0)
    remote.api.stop()
    with silent(remote.api.port):
        wait_for(lambda: not alive(pid), "the runner to end the task")
        (tmp_path / "pid").unlink()
    (tmp_path / "go").touch()
    remote.api.start()
    assert remote.ended("held", run_id) == "success"
    with remote.db.reading() as conn:
        first, second = runs.list_tries(conn, work.key.ti_id)
    assert first.cause == Cause.LOST
    assert "its worker could not reach the server for 3 s" in str(first.detail)
    assert second.state == "success"


def test_a_runner_keeps_the_lease_that_it_began_with_though_its_settings_change(remote: Remote):
    def row() -> RunnerState | None:
        with remote.db.reading() as conn:
            found = processes.list_processes(conn, ProcessKind.RUNNER)
        return msgspec.convert(found[0].state, RunnerState) if found else None

    remote.set_up_runner((remote.worker / "token").read_text(), lease=600.0, queues=("old",))
    remote.start_runner()
    wait_for(row, "the runner to be known")
    remote.set_up_runner((remote.worker / "token").read_text(), lease=20.0, queues=("new",))
    remote.api.stop()
    remote.api.start()

    def again() -> RunnerState | None:
        state = row()
        return state if state is not None and state.queues == ("new",) else None

    assert wait_for(again, "the runner to come again").lease == 600.0


def test_a_runner_shows_its_worker_that_it_does_not_hang(remote: Remote):
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        assert worker.sock.recv(len(ALIVE)) == ALIVE


def test_a_database_that_is_away_ends_nothing(remote: Remote, tmp_path: Path):
    run_id, work, pid = running(remote, tmp_path, lease=2.0)
    remote.api.stop()
    with database_away(remote.api.port, holds=True) as asked:
        wait_for(lambda: asked and asked[-1] - asked[0] > 2.5, "more than a lease")
    remote.api.start()
    assert alive(pid)
    (tmp_path / "go").touch()
    assert remote.ended("held", run_id) == "success"
    with remote.db.reading() as conn:
        assert len(runs.list_tries(conn, work.key.ti_id)) == 1


def test_a_server_that_cannot_say_that_no_lease_runs_out_is_none(remote: Remote, tmp_path: Path):
    """It may be the only one that has lost the database."""
    run_id, _work, pid = running(remote, tmp_path, lease=2.0)
    remote.api.stop()
    with database_away(remote.api.port, holds=False):
        wait_for(lambda: not alive(pid), "the runner to end the task")
    (tmp_path / "go").touch()
    remote.api.start()
    assert remote.ended("held", run_id) == "success"


# --- orders and names -------------------------------------------------------------------------------------------------
def order(remote: Remote, wanted: WorkerOrder | None) -> None:
    with remote.db.transaction() as conn:
        if wanted is None:
            worker_orders.remove(conn, "big")
        else:
            worker_orders.put(conn, wanted)
        tell(conn, "processes")


def as_worker(remote: Remote, **fields: object) -> None:
    """The runner is that of a worker, and its heartbeats come seldom."""
    remote.set_up_runner((remote.worker / "token").read_text(), worker="big", **{"heartbeat": 30.0, **fields})


def test_orders_reach_the_worker_at_once_and_hold_when_it_is_started_again(remote: Remote):
    as_worker(remote, heartbeat=30.0, lease=600.0)
    remote.start_runner()
    drain = WorkerOrder(worker="big", kind=OrderKind.DRAIN, by="ada", at=1.0)
    drained = Standing(taking=False, why="it is drained")
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        order(remote, drain)
        assert worker.hear(Standing) == drained
        order(remote, None)
        assert worker.hear(Standing) == TAKING
        order(remote, drain)
        assert worker.hear(Standing) == drained
    remote.stop_runner()
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(drained)
        assert TAKING not in worker.heard


def test_a_worker_that_is_to_stop_hears_it_and_a_runner_without_one_ends(remote: Remote):
    as_worker(remote)
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        (row,) = [row for row in workers.list_workers(remote.ops) if row.name == "big"]
        order(remote, WorkerOrder(worker="big", kind=OrderKind.STOP, by="ada", at=1.0, runner=row.id))
        assert worker.hear(Standing) == Standing(taking=False, why="it is to stop", stop=True)
        assert remote.runner is not None
        assert remote.runner.poll() is None
    assert remote.runner.wait(DEADLINE) == 0


def test_the_number_of_slots_is_told_to_the_server(remote: Remote):
    as_worker(remote)
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        worker.say(Slots(slots=23))
        wait_for(lambda: [row.slots for row in workers.list_workers(remote.ops)] == [23], "the slots")
    (row,) = workers.list_workers(remote.ops)
    assert 0 < row.memory_free <= row.memory


def test_what_is_wrong_with_its_broker_is_told_to_the_server_and_to_who_looks(remote: Remote):
    as_worker(remote)
    remote.start_runner()
    trouble = "cannot reach its broker: redis://host is unreachable"

    def told() -> list[tuple[str, str]]:
        return [(worker.status.value, worker.trouble) for worker in workers.list_workers(remote.ops)]

    with visit(remote) as worker:
        worker.wait_for(TAKING)
        assert told() == [("running", "")]
        worker.say(Slots(slots=2, trouble=trouble))
        worker.wait_for(Standing(taking=True, trouble=trouble))
        wait_for(lambda: told() == [("cut_off", trouble)], "the trouble")
        worker.say(Slots(slots=2))
        worker.wait_for(TAKING)
        wait_for(lambda: told() == [("running", "")], "its end")


def test_a_runner_whose_worker_has_died_says_so(remote: Remote):
    as_worker(remote, heartbeat=0.2)
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(TAKING)
        worker.say(Slots(slots=2))
        wait_for(lambda: [row.slots for row in workers.list_workers(remote.ops)] == [2], "the slots")
    lost = "has lost the process that takes its work from the broker"
    wait_for(lambda: [row.trouble for row in workers.list_workers(remote.ops)] == [lost], "the loss")
    with visit(remote) as worker:
        worker.say(Slots(slots=2))
        wait_for(lambda: [row.trouble for row in workers.list_workers(remote.ops)] == [""], "the next one")


def test_two_workers_of_one_name_are_told_apart(remote: Remote, tmp_path: Path):
    as_worker(remote)
    remote.start_runner()
    with visit(remote) as worker:
        worker.wait_for(TAKING)
    first, remote.runner = remote.runner, None
    assert first is not None
    try:
        remote.worker = tmp_path / "elsewhere"
        remote.worker.mkdir()
        (remote.worker / "token").write_text((tmp_path / "worker" / "token").read_text())
        as_worker(remote)
        remote.start_runner()
        with visit(remote) as worker:
            worker.refused("refuses this runner", "is called 'big' already")
    finally:
        first.kill()
        first.wait(DEADLINE)


def test_a_work_socket_takes_nothing_that_is_no_message(remote: Remote, tmp_path: Path):
    remote.start_runner()
    run_id, work = handed_out(remote, tmp_path)
    (tmp_path / "go").touch()
    with visit(remote) as worker, visit(remote) as stranger:
        stranger.sock.sendall(b"\0\0\0\3abc")
        stranger.sock.settimeout(DEADLINE)
        while stranger.sock.recv(65536):
            pass
        worker.say(Submit(works=(work,)))
        assert isinstance(worker.hear(Reports).reports[0], Ended)
    assert remote.ended("held", run_id) == "success"
