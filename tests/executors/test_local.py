"""The local executor keeps the promises of executors, in both ways of isolation; so does the sequential one."""

import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from airloom.executors.local import LocalExecutor, LocalSettings
from airloom.executors.runner_process import RunnerProcess, clean_environment
from airloom.executors.sequential import sequential_executor
from airloom.model.errors import AirloomError, Conflict
from airloom.model.report import Cause, HandedBack, Outcome
from airloom.model.spec import Isolation
from airloom.runtime.messages import LONGEST_DETAIL
from airloom.sections import Settings
from tests.executors.conformance import ExecutorConformance
from tests.executors.rig import MakeExecutor, Rig, runner_pid, values
from tests.waiting import DEADLINE, wait_for


def settings(rig: Rig, **fields: object) -> LocalSettings:
    base = LocalSettings(home=str(rig.home), bundles={"dags": str(rig.dags)}, parallelism=4)
    return msgspec.structs.replace(base, **fields)


class TestFork(ExecutorConformance):
    def make(self, rig: Rig) -> MakeExecutor:
        return partial(LocalExecutor, settings(rig))


class TestReuse(ExecutorConformance):
    def make(self, rig: Rig) -> MakeExecutor:
        return partial(LocalExecutor, settings(rig, isolation=Isolation.REUSE))


class TestSequential(ExecutorConformance):
    def make(self, rig: Rig) -> MakeExecutor:
        return partial(sequential_executor, settings(rig))

    def test_it_takes_one_try_at_a_time(self, rig: Rig):
        assert rig.executor.capacity() == (1, "")


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    rig.start(partial(LocalExecutor, settings(rig)))
    yield rig
    rig.executor.close(0)


def restart(rig: Rig, **fields: object) -> None:
    rig.executor.close(0)
    rig.start(partial(LocalExecutor, settings(rig, **fields)))


def test_parallelism_zero_takes_any_number(rig: Rig):
    assert rig.executor.capacity() == (4, "")
    restart(rig, parallelism=0)
    assert rig.executor.capacity() == (None, "")


def test_a_second_executor_on_the_same_home_is_refused_with_what_to_do(rig: Rig):
    with pytest.raises(Conflict, match="a scheduler with this home folder is running already"):
        LocalExecutor(settings(rig), lambda key, request: None, lambda: None)


def test_local_and_sequential_can_share_a_home(rig: Rig):
    rig.write("good", "return 1")
    rig.run(rig.work("good"))
    first = rig.executor
    rig.start(partial(sequential_executor, settings(rig)))
    try:
        (ended,) = rig.run(rig.work("good"))
    finally:
        rig.executor.close(0)
        rig.executor = first
    assert ended.outcome is Outcome.SUCCESS


def test_a_home_whose_path_is_longer_than_a_socket_address_works(tmp_path: Path):
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    folder.mkdir(parents=True)
    rig = Rig(folder)
    rig.write("good", "return 1")
    rig.start(partial(LocalExecutor, settings(rig)))
    try:
        assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS
    finally:
        rig.executor.close(0)


def test_each_forked_try_has_a_process_of_its_own_and_reuse_shares_one(rig: Rig):
    rig.write("who", "return os.getpid()")
    forked = [values(rig.run(rig.work("who"))[0])["return_value"] for _ in range(3)]
    assert len(set(forked)) == 3
    reused = [values(rig.run(rig.work("who", isolation=Isolation.REUSE))[0])["return_value"] for _ in range(3)]
    assert len(set(reused)) == 1


def test_a_reused_process_gives_each_try_its_own_environment_and_log(rig: Rig):
    rig.write("mine", "os.environ['LEFT'] = 'over'\nos.chdir('/')\nprint(os.environ['AIRLOOM_CTX_DAG_RUN_ID'])",
              "return os.environ.get('LEFT'), os.getcwd()")  # fmt: skip
    first = rig.work("mine", "t0", isolation=Isolation.REUSE)
    second = rig.work("mine", "t1", isolation=Isolation.REUSE)
    rig.run(first)
    (ended,) = rig.run(second)
    assert values(ended)["return_value"] == [None, str(rig.dags)]
    assert first.run.run_id in rig.log_text(first)
    assert first.run.run_id not in rig.log_text(second)


def test_a_task_finds_its_try_in_its_environment_but_no_way_to_the_database(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRLOOM__DATABASE__URL", "postgresql://nobody@nowhere/x")
    monkeypatch.setenv("AIRLOOM__SECURITY__SECRET_KEY", "very-secret")
    monkeypatch.setenv("OF_THE_USER", "kept")
    restart(rig)
    rig.write("env", "return dict(os.environ)")
    work = rig.work("env")
    environment = values(rig.run(work)[0])["return_value"]
    assert environment["AIRLOOM_CTX_DAG_ID"] == "env"
    assert environment["AIRLOOM_CTX_TASK_ID"] == "t0"
    assert environment["AIRLOOM_CTX_DAG_RUN_ID"] == work.run.run_id
    assert environment["AIRLOOM_CTX_TRY_NUMBER"] == "1"
    assert environment["AIRLOOM_CTX_LOGICAL_DATE"] == "1970-01-01T00:00:00+00:00"
    assert environment["OF_THE_USER"] == "kept"
    assert "nowhere" not in str(environment)
    assert "very-secret" not in str(environment)


def test_what_names_the_database_or_a_key_is_cleaned_away():
    private = ["AIRLOOM__DATABASE__URL", "AIRLOOM__SECURITY__SECRET_KEY", "AIRLOOM_DATABASE_URL", "AIRLOOM_SECRET_KEY"]
    private += ["AIRLOOM_CONN_SHOP", "AIRLOOM_VAR_REGION", "AIRFLOW_CONN_SHOP", "AIRFLOW_VAR_REGION"]
    private += ["AIRLOOM__CELERY__BROKER", "AIRLOOM__CELERY__BROKER_FILE", "AIRLOOM__CELERY__BROKER_OPTIONS"]
    private += ["FLOWER_BASIC_AUTH", "PGPASSWORD", "PGUSER", "PGHOST", "PGSERVICE", "PGPASSFILE"]
    public = ["PATH", "HOME", "AIRLOOM_HOME", "DATABASE_URL_OF_MY_SHOP", "PGUSERS_OF_MY_SHOP", "MY_AIRFLOW_VAR_X"]
    assert list(clean_environment(dict.fromkeys(private + public, "x"))) == public


def test_no_setting_that_is_hidden_in_lists_reaches_a_task():
    hidden = [
        f"AIRLOOM__{section.name}__{field.name}{ending}".upper()
        for section in msgspec.structs.fields(Settings)
        if isinstance(section.type, type)
        for field in msgspec.structs.fields(section.type)
        if {"secret", "url"} & (get_args(field.type)[1].extra or {}).keys()
        for ending in ("", "_file")
    ]
    assert {"AIRLOOM__CELERY__BROKER", "AIRLOOM__LOGS__STORE_OPTIONS"} <= set(hidden)
    assert clean_environment(dict.fromkeys(hidden, "x")) == {}


def test_a_task_inherits_no_descriptor_of_the_runner(rig: Rig):
    rig.write("fds", "return sorted(os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if "
                     "os.path.exists(f'/proc/self/fd/{fd}') or os.path.islink(f'/proc/self/fd/{fd}'))")  # fmt: skip
    links = values(rig.run(rig.work("fds"))[0])["return_value"]
    assert [link.split(":")[0] for link in links if not link.startswith("/proc")] == [
        "/dev/null",
        "pipe",
        "pipe",
        "socket",
    ]


def test_an_edited_file_and_an_edited_module_of_it_are_imported_anew(rig: Rig):
    (rig.dags / "helping.py").write_text("ANSWER = 1\n")
    rig.write("uses", "import helping\nreturn helping.ANSWER", before="import helping\n")
    assert values(rig.run(rig.work("uses"))[0])["return_value"] == 1
    (rig.dags / "helping.py").write_text("ANSWER = 22\n")
    assert values(rig.run(rig.work("uses"))[0])["return_value"] == 22
    rig.write("uses", "return 'edited'")
    assert values(rig.run(rig.work("uses"))[0])["return_value"] == "edited"


def test_a_file_whose_import_starts_threads_is_imported_by_each_try(rig: Rig):
    rig.write("threads", "return os.getpid()", before="import threading\n"
              "threading.Thread(target=threading.Event().wait, daemon=True).start()\n")  # fmt: skip
    first, second = rig.run(rig.work("threads"), rig.work("threads"))
    assert first.outcome is second.outcome is Outcome.SUCCESS
    assert values(first) != values(second)


def test_an_import_that_hangs_fails_its_own_tries_only(rig: Rig):
    restart(rig, import_timeout=1.0)
    rig.write("hangs", "return 1", before="(MARKS / 'importing').touch()\ntime.sleep(60)\n")
    rig.write("good", "return 1")
    hanging, good = rig.work("hangs"), rig.work("good")
    rig.submit(hanging)
    wait_for(rig.mark("importing").exists, "the import")
    assert rig.run(good)[0].outcome is Outcome.SUCCESS
    ended = rig.end(hanging)
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.IMPORT)
    assert "within 1 s" in (ended.detail or "")


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("sys.exit(4)\n", "SystemExit: 4"),
        ("os._exit(4)\n", "exit status 4"),
        ("os.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        ("def f(:\n", "SyntaxError"),
    ],
)
def test_whatever_an_import_does_its_tries_end_with_the_cause(rig: Rig, before: str, says: str):
    rig.write("harms", "return 1", before=before)
    (ended,) = rig.run(rig.work("harms"))
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.IMPORT)
    assert says in (ended.detail or "")


def test_a_file_that_forks_while_it_is_imported_runs_its_task_once(rig: Rig):
    rig.write("forks", "with open(MARKS / 'ran', 'a') as f: f.write('x')\nreturn 1", before="os.fork()\n")
    assert rig.run(rig.work("forks"))[0].outcome is Outcome.SUCCESS
    assert rig.mark("ran").read_text() == "x"


def test_a_task_that_forks_reports_once(rig: Rig):
    rig.write("forks", "os.fork()\nreturn 1")
    assert values(rig.run(rig.work("forks"))[0]) == {"return_value": 1}
    assert rig.run(rig.work("forks"))[0].outcome is Outcome.SUCCESS


def test_a_try_over_its_memory_limit_is_ended_with_the_figures(rig: Rig):
    rig.write("greedy", "keep = bytearray(200 * 1024 * 1024)\ntime.sleep(60)")
    (ended,) = rig.run(rig.work("greedy", memory_limit=100 * 1024 * 1024))
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.OOM)
    assert "its limit is 100 MiB" in (ended.detail or "")


def test_a_try_whose_bundle_is_unknown_says_which_there_are(rig: Rig):
    rig.write("good", "return 1")
    (ended,) = rig.run(rig.work("good", bundle="other"))
    assert (ended.cause, ended.detail) == (
        Cause.IMPORT,
        "the settings of this machine have no bundle 'other'; they have dags",
    )


def test_a_hundred_tries_at_once_all_end(rig: Rig):
    rig.write("many", "return 1")
    works = [rig.work("many") for _ in range(100)]
    assert {ended.outcome for ended in rig.run(*works)} == {Outcome.SUCCESS}


def test_a_flood_of_output_is_cut_at_the_limit_and_the_task_goes_on(rig: Rig):
    restart(rig, log_limit=100_000)
    rig.write("floods", "for _ in range(20000): print('x' * 100)\nreturn 'done'")
    work = rig.work("floods")
    assert values(rig.run(work)[0]) == {"return_value": "done"}
    assert "has reached its limit of 100,000 bytes" in rig.log(work)[-1].text
    size = sum(path.stat().st_size for path in rig.home.glob("logs/**/attempt=1.log"))
    assert size < 101_000


def test_closing_gives_running_tries_their_grace_and_then_ends_them(rig: Rig):
    rig.write("ends", "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.01)\nreturn 1",
              "(MARKS / 'up2').touch()\ntime.sleep(60)")  # fmt: skip
    soon, never = rig.work("ends", "t0"), rig.work("ends", "t1")
    rig.submit(soon, never)
    wait_for(lambda: rig.mark("up").exists() and rig.mark("up2").exists(), "the tasks")
    rig.mark("go").touch()
    rig.end(soon)
    rig.executor.close(0.2)
    ended = rig.end(never)
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.STOPPED)
    rig.start(partial(LocalExecutor, settings(rig)))


def test_while_it_closes_nothing_is_admitted_and_what_comes_is_kept(rig: Rig):
    rig.write("runs", "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.01)\nreturn 1")
    rig.write("hangs", "return 1", before="(MARKS / 'importing').touch()\ntime.sleep(60)\n")
    running, importing, late = rig.work("runs"), rig.work("hangs"), rig.work("runs")
    rig.submit(running, importing)
    wait_for(lambda: rig.mark("up").exists() and rig.mark("importing").exists(), "the tasks")
    closing = threading.Thread(target=rig.executor.close, args=(20.0,))
    closing.start()
    rig.until(lambda: rig.executor.capacity() == (0, "the scheduler is stopping"), "the executor to close")
    rig.submit(late)
    rig.handed_back(importing)  # its process had not begun
    assert rig.told(HandedBack, late) == []
    rig.mark("go").touch()
    closing.join()
    assert rig.end(running).outcome is Outcome.SUCCESS
    rig.handed_back(late)
    assert [len(rig.told(HandedBack, work)) for work in (running, importing, late)] == [0, 1, 1]
    rig.start(partial(LocalExecutor, settings(rig)))


def test_when_the_runner_and_its_tasks_get_sigterm_together_the_tries_were_stopped(rig: Rig):
    rig.write("long", "(MARKS / 'up').touch()\ntime.sleep(60)")
    work = rig.work("long")
    rig.submit(work)
    wait_for(rig.mark("up").exists, "the task")
    task = rig.started(work).pid
    os.kill(runner_pid(rig.home), signal.SIGTERM)
    os.kill(task, signal.SIGTERM)
    ended = rig.end(work)
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.STOPPED)


def test_what_is_no_message_costs_the_try_its_process_and_nothing_else(rig: Rig):
    rig.write(
        "garbles",
        "fd = next(fd for fd in range(3, 20) if os.path.exists(f'/proc/self/fd/{fd}')\n"
        "          and 'socket' in os.readlink(f'/proc/self/fd/{fd}'))\n"
        "os.write(fd, b'\\xff' * 64)\n"
        "time.sleep(60)",
    )
    rig.write("good", "return 1")
    (ended,) = rig.run(rig.work("garbles"))
    assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.ERROR)
    assert "cannot read: a frame of 4,294,967,295 bytes" in (ended.detail or "")
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS


def test_a_long_error_is_cut_in_the_report(rig: Rig):
    rig.write("wordy", "raise ValueError('x' * 5_000_000)")
    (ended,) = rig.run(rig.work("wordy"))
    assert ended.cause is Cause.ERROR
    assert 16_000 < len(ended.detail or "") <= LONGEST_DETAIL


def test_a_runner_that_cannot_start_is_not_looked_for_all_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rig = Rig(tmp_path)
    looks: list[bool] = []
    starts: list[bool] = []
    tried = threading.Event()

    def alive(_self: RunnerProcess) -> bool:
        looks.append(True)
        return False

    def start(_self: RunnerProcess) -> None:
        starts.append(True)
        if len(starts) == 4:
            tried.set()
        raise AirloomError("no runner today")

    monkeypatch.setattr(RunnerProcess, "alive", alive)
    monkeypatch.setattr(RunnerProcess, "start", start)
    rig.start(partial(LocalExecutor, settings(rig)))
    assert tried.wait(DEADLINE)
    assert len(looks) <= 12
    assert rig.executor.capacity() == (0, "no runner today")
    rig.executor.close(0)


def zygotes(rig: Rig) -> int:
    """How many processes the runner has started that have not ended: the base zygote and what came from it."""
    mark = f"AIRLOOM_RUNNER={(rig.home / 'local.lock').read_text().split()[1]}".encode()
    found = 0
    for entry in Path("/proc").iterdir():
        try:
            found += entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
    return found


def test_no_more_files_are_kept_imported_than_the_limit(rig: Rig):
    restart(rig, zygote_limit=2)
    for name in "abcde":
        rig.write(name, "return 1")
        assert rig.run(rig.work(name))[0].outcome is Outcome.SUCCESS
    # the base zygote, and for each of two files a zygote with a process in reserve
    wait_for(lambda: zygotes(rig) == 5, "the zygotes to go")
    assert rig.run(rig.work("a"))[0].outcome is Outcome.SUCCESS


def test_a_file_that_is_not_used_is_not_kept_imported(rig: Rig):
    restart(rig, zygote_idle=0.1)
    rig.write("good", "return 1")
    rig.run(rig.work("good"), rig.work("good", isolation=Isolation.REUSE))
    wait_for(lambda: zygotes(rig) == 1, "all but the base zygote to go")
    assert rig.run(rig.work("good"))[0].outcome is Outcome.SUCCESS


def test_when_all_tries_have_ended_and_are_acknowledged_nothing_of_them_is_on_disk(rig: Rig):
    rig.write("good", "return 1")
    rig.run(rig.work("good"), rig.work("good"))
    rig.executor.poll()
    wait_for(lambda: all(path.stat().st_size == 0 for path in rig.home.glob("spool/local/*/*")), "an empty journal")
