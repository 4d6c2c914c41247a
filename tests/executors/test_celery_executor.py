"""The scheduler's side of the Celery executor: a real database and a real broker, with workers that the test plays."""

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kombu import Queue

from airloom.executors import leases
from airloom.executors.celery import book, executor, publisher
from airloom.executors.celery.app import make_app
from airloom.executors.celery.executor import CeleryExecutor
from airloom.executors.celery.messages import decode
from airloom.executors.celery.settings import CelerySettings
from airloom.executors.cluster import WITHDRAWN, View
from airloom.executors.local import LocalExecutor
from airloom.executors.settings import LocalSettings
from airloom.model.errors import SettingsError, StoreError
from airloom.model.processes import ProcessKind, ProcessRow, RunnerState
from airloom.model.report import Cause, Ended, Outcome, Report, TryKey
from airloom.model.work import Cancel, RunInfo, Work
from airloom.operations.cluster import OpsCluster
from airloom.operations.ops import Ops, make_ops
from airloom.operations.try_tokens import try_tokens
from airloom.settings import load
from airloom.store import claims, processes, runners
from airloom.store.database import Database
from airloom.wiring import parts, worker
from tests.servers import free_port
from tests.store.rows import NOW, commit, lead, new_run, queued, read, write
from tests.waiting import DEADLINE, wait_for

_RUN = RunInfo(run_id="run_1", run_type="manual", run_after=NOW)


class Cluster:
    """A database with queued tries, an executor, and workers."""

    def __init__(self, db: Database, url: str, home: Path) -> None:
        self.db = db
        self.settings = CelerySettings(url=url)
        self.ops: Ops = make_ops(load({"AIRLOOM_HOME": str(home)}, home).settings, db)
        self.epoch = lead(db)
        self.woken = threading.Event()
        self.executors: list[CeleryExecutor] = []
        self.reports: list[Report] = []
        self._runs = 0

    def start(self) -> CeleryExecutor:
        """An executor, as of a scheduler that has just started."""
        made = CeleryExecutor(self.settings, OpsCluster(self.ops, "celery"), self.woken.set)
        self.executors.append(made)
        return made

    def queue(self, count: int, queue: str = "default") -> list[Work]:
        """So many works whose tries are queued, in a run of their own."""
        self._runs += 1
        numbers = [self._runs * 1000 + number for number in range(count)]
        commit(self.db, new_run(self._runs, numbers), self.epoch)
        plan = queued(numbers)
        for change in plan.ti_changes.values():
            change.values["executor"] = "celery"
        plan.new_tries = {
            key: msgspec.structs.replace(row, executor="celery", queue=queue) for key, row in plan.new_tries.items()
        }
        commit(self.db, plan, self.epoch)
        return [
            Work(
                key=TryKey(number, 1), dag_id="sales", task_id="load", run=_RUN, run_key=self._runs, bundle="dags",
                rel_path="d.py", version_id=1, queue=queue, executor="celery",
            )
            for number in numbers
        ]  # fmt: skip

    def end(self, *keys: TryKey) -> None:
        """The scheduler has taken in that these ended."""
        plan = queued([])
        plan.try_changes = {key: {"ended_at": NOW} for key in keys}
        commit(self.db, plan, self.epoch)

    def claim(self, runner: str, *keys: TryKey) -> set[TryKey]:
        """Those that the task API gives to a runner."""
        granted: set[TryKey] = write(self.db, runners.claim, runner, keys)
        return granted

    def renew(self, runner: str, tries: Iterable[TryKey], lease: float = 60.0) -> None:
        """A runner with these tries and an API process tell that they live."""
        state = RunnerState(executor="celery", worker="one", lease=lease, tries=tuple(tries))
        rows = [self._row(runner, ProcessKind.RUNNER, msgspec.to_builtins(state))]
        write(self.db, processes.renew, [*rows, self._row("api", ProcessKind.API, {})])

    def _row(self, name: str, kind: ProcessKind, state: dict[str, Any]) -> ProcessRow:
        return ProcessRow(
            id=name, kind=kind, host="box", pid=1, version="0", started_at=NOW, seen_at=time.time(), state=state
        )

    def messages(self, count: int, queue: str = "default", *, all_of_them: bool = True) -> list[Work]:
        """Take so many messages."""
        found: list[Work] = []
        with make_app(self.settings).connection_for_read() as connection:
            bound = Queue(self.settings.queue_name(queue)).bind(connection.channel())

            def take() -> bool:
                message = bound.get(no_ack=True)
                if message is not None:
                    found.append(decode(message.payload[0], message.headers))
                return len(found) == count

            wait_for(take, f"{count} messages")
            assert not all_of_them or bound.get(no_ack=True) is None
        return found

    def report(self, key: TryKey) -> Ended:
        """The end of a try, as the executor tells it."""

        def found() -> Ended | None:
            for made in self.executors:
                self.reports += made.poll()
            return next((each for each in self.reports if isinstance(each, Ended) and each.key == key), None)

        ended: Ended = wait_for(found, f"the end of {key}")
        return ended

    def wait(self, met: Callable[[], bool], what: str) -> None:
        """Wait until the executor has done something."""
        wait_for(met, what)

    def close(self) -> None:
        for made in self.executors:
            made.close(0)
        self.ops.notifier.close()


@pytest.fixture
def cluster(db: Database, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """In a hurry: what takes seconds takes tenths."""
    monkeypatch.setattr(publisher, "_MEASURE", 0.05)
    monkeypatch.setattr(publisher, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(executor, "_LOOK", 0.05)
    monkeypatch.setattr(executor, "_REST", 0)
    cluster = Cluster(db, redis_url, tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def soon_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages and runners are taken for lost after tenths of seconds."""
    monkeypatch.setattr(book, "EVIDENCE", 0.2)
    monkeypatch.setattr(leases, "_SHORTEST_LEASE", 0.2)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """How many looks at the database there were."""
    count = threading.Semaphore(0)
    looked = OpsCluster.look

    def look(self: OpsCluster) -> View:
        view = looked(self)
        count.release()
        return view

    monkeypatch.setattr(OpsCluster, "look", look)
    return count


def cancel(work: Work) -> Cancel:
    return Cancel(key=work.key, executor="celery", reason="nobody wants it")


def live(cluster: Cluster) -> dict[TryKey, str]:
    """Whose the live tries are."""
    found: dict[TryKey, str] = read(cluster.db, claims.claims, "celery")
    return found


class TestSubmitting:
    def test_each_try_is_published_once_with_its_token(self, cluster: Cluster):
        works = cluster.queue(3)
        made = cluster.start()
        made.submit(works)
        made.submit(works[:2])
        tokens = try_tokens(cluster.ops)
        found = cluster.messages(3)
        assert {work.key for work in found} == {work.key for work in works}
        assert all(tokens.proves(work.token, work.key) for work in found)

    def test_there_is_room_for_any_number_once_the_broker_is_connected(self, cluster: Cluster):
        made = cluster.start()
        cluster.wait(lambda: made.capacity() == (None, ""), "the connection")
        assert cluster.woken.is_set()
        made.close(0)
        assert made.capacity() == (0, "the scheduler is stopping")

    def test_while_the_broker_is_away_the_reason_is_told_and_nothing_fails(self, cluster: Cluster):
        cluster.settings = CelerySettings(url=f"redis://:secret@127.0.0.1:{free_port()}/0")
        made = cluster.start()
        assert made.capacity()[0] == 0
        cluster.wait(lambda: "unreachable" in made.capacity()[1], "the reason")
        made.submit(cluster.queue(2))
        slots, why = made.capacity()
        assert slots == 0
        assert "secret" not in why
        assert made.poll() == []

    def test_a_queue_that_no_broker_can_have_ends_its_try_and_holds_up_no_other(self, cluster: Cluster):
        (bad,) = cluster.queue(1, "x" * 201)
        (good,) = cluster.queue(1)
        made = cluster.start()
        made.submit([bad, good])
        assert [work.key for work in cluster.messages(1)] == [good.key]
        ended = cluster.report(bad.key)
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.LAUNCH)
        assert "a queue's name has up to 200 bytes" in (ended.detail or "")

    @pytest.mark.parametrize(
        ("what", "why"),
        [(2**70, "a number that is too large"), ("x" * (64 * 1024 * 1024), "the limit is")],
        ids=["number", "size"],
    )
    def test_a_work_that_can_be_no_message_ends_its_try_and_holds_up_no_other(
        self, cluster: Cluster, what: Any, why: str
    ):
        bad, good = cluster.queue(2)
        made = cluster.start()
        made.submit([msgspec.structs.replace(bad, executor_config={"x": what}), good])
        assert [work.key for work in cluster.messages(1)] == [good.key]
        ended = cluster.report(bad.key)
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.LAUNCH)
        assert why in (ended.detail or "")


class TestCancelling:
    def test_what_nobody_has_claimed_ends_at_once_and_nobody_can_claim_it_any_more(self, cluster: Cluster):
        first, second = cluster.queue(2)
        made = cluster.start()
        made.submit([first, second])
        cluster.messages(2)
        made.cancel([cancel(first)])
        ended = cluster.report(first.key)
        assert (ended.outcome, ended.cause, ended.detail) == (Outcome.FAILED, Cause.CANCELLED, "nobody wants it")
        assert cluster.claim("one", first.key, second.key) == {second.key}

    def test_what_is_not_published_ends_as_well(self, cluster: Cluster):
        cluster.settings = CelerySettings(url=f"redis://127.0.0.1:{free_port()}/0")
        made = cluster.start()
        (work,) = cluster.queue(1)
        made.submit([work])
        made.cancel([cancel(work)])
        assert cluster.report(work.key).cause is Cause.CANCELLED

    def test_the_end_of_what_is_claimed_is_left_to_its_runner(self, cluster: Cluster):
        claimed, waiting = cluster.queue(2)
        made = cluster.start()
        made.submit([claimed, waiting])
        cluster.claim("one", claimed.key)
        cluster.renew("one", [claimed.key])
        made.cancel([cancel(claimed), cancel(waiting)])
        cluster.report(waiting.key)
        assert [report.key for report in cluster.reports] == [waiting.key]

    @pytest.mark.usefixtures("soon_lost")
    def test_a_cancelled_try_whose_runner_is_lost_ends_as_cancelled(self, cluster: Cluster):
        (work,) = cluster.queue(1)
        made = cluster.start()
        made.submit([work])
        cluster.claim("one", work.key)
        cluster.renew("one", [work.key], lease=0.2)
        made.cancel([cancel(work)])
        ended = cluster.report(work.key)
        assert (ended.cause, ended.detail) == (Cause.CANCELLED, "nobody wants it")

    def test_an_unknown_try_is_ignored(self, cluster: Cluster):
        known, unknown = cluster.queue(2)
        made = cluster.start()
        made.submit([known])
        made.cancel([cancel(unknown), cancel(known)])
        cluster.report(known.key)
        assert [report.key for report in cluster.reports] == [known.key]
        assert cluster.claim("one", unknown.key) == {unknown.key}

    def test_claims_and_cancels_at_once_leave_each_try_with_one_of_them(self, cluster: Cluster):
        works = cluster.queue(60)
        made = cluster.start()
        made.submit(works)
        granted: set[TryKey] = set()

        def run() -> None:
            for work in works:
                granted.update(cluster.claim("one", work.key))

        claiming = threading.Thread(target=run)
        claiming.start()
        for work in reversed(works):
            made.cancel([cancel(work)])
        claiming.join(DEADLINE)
        whose = live(cluster)
        withdrawn = {key for key, runner in whose.items() if runner == WITHDRAWN}
        assert {key for key, runner in whose.items() if runner == "one"} == granted
        assert granted | withdrawn == {work.key for work in works}
        for key in withdrawn:
            assert cluster.report(key).cause is Cause.CANCELLED
        told = [report.key for report in cluster.reports if report.key in withdrawn]
        assert sorted(told) == sorted(withdrawn)


class TestTakingOver:
    def test_only_what_is_claimed_goes_on(self, cluster: Cluster):
        claimed, waiting, done = cluster.queue(3)
        first = cluster.start()
        first.submit([claimed, waiting, done])
        cluster.messages(3)
        cluster.claim("one", claimed.key, done.key)
        cluster.end(done.key)
        second = cluster.start()
        assert second.adopt([claimed.key, waiting.key]) == {claimed.key}
        second.submit([waiting])
        assert [work.key for work in cluster.messages(1)] == [waiting.key]

    @pytest.mark.usefixtures("soon_lost")
    def test_what_was_adopted_is_watched_over(self, cluster: Cluster):
        (work,) = cluster.queue(1)
        cluster.claim("one", work.key)
        cluster.renew("one", [work.key], lease=0.2)
        made = cluster.start()
        assert made.adopt([work.key]) == {work.key}
        ended = cluster.report(work.key)
        assert ended.cause is Cause.LOST
        assert "the worker one on box was not heard of" in (ended.detail or "")

    def test_after_a_failed_commit_the_same_executor_goes_on_and_publishes_nothing_twice(self, cluster: Cluster):
        works = cluster.queue(2)
        made = cluster.start()
        made.submit(works)
        cluster.messages(2)
        assert made.adopt([work.key for work in works]) == set()
        made.submit(works)
        (more,) = cluster.queue(1)
        made.submit([more])
        assert [work.key for work in cluster.messages(1)] == [more.key]

    def test_a_scheduler_that_leads_no_more_ends_nothing_and_tells_nothing(self, cluster: Cluster):
        claimed, waiting = cluster.queue(2)
        made = cluster.start()
        made.submit([claimed, waiting])
        cluster.claim("one", claimed.key)
        cluster.renew("one", [])
        made.cancel([cancel(waiting)])
        cluster.wait(lambda: bool(made._reports), "an end")
        assert made.adopt([]) == set()
        assert (made.poll(), len(made._book)) == ([], 0)
        assert live(cluster)[claimed.key] == "one"

    def test_an_end_that_was_not_polled_yet_counts_as_had_and_comes_once(self, cluster: Cluster):
        (taken,) = cluster.queue(1)
        (bad,) = cluster.queue(1, "a,b")
        made = cluster.start()
        made.submit([taken, bad])
        made.cancel([cancel(taken)])
        cluster.wait(lambda: len(made._reports) == 2, "the ends")
        assert made.adopt([taken.key, bad.key]) == {taken.key, bad.key}
        assert {report.key for report in made.poll()} == {taken.key, bad.key}
        assert len(made._book) == 0

    def test_a_cancel_that_a_former_scheduler_did_not_live_to_tell_is_told(
        self, cluster: Cluster, looks: threading.Semaphore
    ):
        (work,) = cluster.queue(1)
        assert OpsCluster(cluster.ops, "celery").withdraw([work.key]) == {work.key}
        made = cluster.start()
        assert made.adopt([work.key]) == {work.key}
        for _ in range(3):
            assert looks.acquire(timeout=DEADLINE)
        made.cancel([cancel(work)])
        assert cluster.report(work.key).cause is Cause.CANCELLED

    def test_a_database_that_is_away_is_told_to_the_scheduler(self, cluster: Cluster):
        class Away(OpsCluster):
            def look(self) -> Any:
                raise StoreError("the database is away")

        made = CeleryExecutor(cluster.settings, Away(cluster.ops, "celery"), cluster.woken.set)
        cluster.executors.append(made)
        with pytest.raises(StoreError):
            made.adopt([TryKey(1, 1)])
        assert made.adopt([]) == set()


class TestWatching:
    @pytest.mark.usefixtures("soon_lost")
    def test_a_message_that_the_broker_lost_is_published_again(self, cluster: Cluster):
        works = cluster.queue(3)
        made = cluster.start()
        made.submit(works)
        cluster.messages(3)  # and nobody claims them
        cluster.claim("one", works[0].key)
        cluster.renew("one", [works[0].key])
        again: set[TryKey] = set()
        while not again >= {works[1].key, works[2].key}:
            again |= {work.key for work in cluster.messages(1, all_of_them=False)}

    @pytest.mark.usefixtures("soon_lost")
    def test_what_goes_on_without_the_database_goes_on_with_it(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        (work,) = cluster.queue(1)
        away = True
        looked = OpsCluster.look

        def look(self: OpsCluster) -> Any:
            if away:
                raise StoreError("the database is away")
            return looked(self)

        monkeypatch.setattr(OpsCluster, "look", look)
        made = cluster.start()
        made.submit([work])
        cluster.messages(1)
        cluster.wait(lambda: "cannot be watched: the database is away" in caplog.text, "the warning")
        away = False
        assert [again.key for again in cluster.messages(1, all_of_them=False)] == [work.key]

    def test_nothing_is_looked_at_while_there_is_nothing(self, cluster: Cluster, looks: threading.Semaphore):
        made = cluster.start()
        cluster.wait(lambda: made.capacity()[0] is None, "the connection")
        (work,) = cluster.queue(1)
        assert not looks.acquire(blocking=False)
        made.submit([work])
        assert looks.acquire(timeout=DEADLINE)
        cluster.end(work.key)
        cluster.wait(lambda: len(made._book) == 0, "the end")


class TestTheDatabase:
    def test_only_tries_and_runners_of_the_executor_are_seen(self, cluster: Cluster):
        (work,) = cluster.queue(1)
        cluster.claim("one", work.key)
        cluster.renew("one", [work.key])
        view = OpsCluster(cluster.ops, "celery").look()
        assert view.claims == {work.key: "one"}
        assert view.runners["one"].tries == {work.key}
        assert view.servers.keys() == {"api"}
        other = OpsCluster(dataclasses.replace(cluster.ops), "kubernetes").look()
        assert (other.claims, other.runners) == ({}, {})

    def test_what_is_claimed_or_over_cannot_be_taken_back(self, cluster: Cluster):
        free, claimed, over = (work.key for work in cluster.queue(3))
        cluster.claim("one", claimed)
        cluster.end(over)
        mine = OpsCluster(cluster.ops, "celery")
        assert mine.withdraw([free, claimed, over, TryKey(999, 1)]) == {free}
        assert mine.withdraw([free]) == {free}


class TestWiring:
    @pytest.fixture
    def local(self, cluster: Cluster, tmp_path: Path) -> LocalSettings:
        settings = load({"AIRLOOM_HOME": str(tmp_path)}, tmp_path).settings
        return parts.local_settings(settings, cluster.db, tmp_path, {})

    def test_without_the_extra_it_is_told_what_to_install(
        self, cluster: Cluster, local: LocalSettings, monkeypatch: pytest.MonkeyPatch
    ):
        for name in [name for name in sys.modules if name.startswith("airloom.executors.celery.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "celery", None)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match=r"celery is missing: pip install 'airloom\[celery\]'"):
            parts.make_executors(("celery",), local, cluster.ops, cluster.woken.set, cluster.settings)

    def test_only_who_has_a_broker_loads_celery(self):
        said = "import sys, airloom.wiring.roles; print(*({'celery', 'kombu'} & sys.modules.keys()), sep='', end='')"
        assert subprocess.run([sys.executable, "-c", said], capture_output=True, check=True).stdout == b""

    def test_a_run_in_the_foreground_stays_on_this_machine(self, cluster: Cluster, local: LocalSettings):
        made = parts.make_executors(("local", "celery"), local, cluster.ops, cluster.woken.set)
        try:
            assert [type(each) for each in made.values()] == [LocalExecutor, LocalExecutor]
            # What a worker of this home and its runner have is left alone.
            assert not list(Path(local.home).glob("celery.[!h]*"))
            assert list(Path(local.home).glob("celery.here.*"))
        finally:
            for each in made.values():
                each.close(0)

    def test_a_worker_serves_no_queue_that_no_task_can_be_in(self, tmp_path: Path):
        settings = load({"AIRLOOM_HOME": str(tmp_path)}, tmp_path).settings
        with pytest.raises(SettingsError, match="a queue's name has up to 200 bytes"):
            worker.worker(settings, worker.Options(queues=("gpu", "x" * 201)), print)
