"""What every executor promises. A test module for an executor subclasses ExecutorConformance and gives it `make`."""

import signal
from pathlib import Path

import pytest

from airloom.model.errors import AirloomError, StoreError
from airloom.model.report import Cause, Ended, Outcome, SkipMode, Started
from airloom.model.wire import GetVariable
from tests.executors.rig import MakeExecutor, Rig, keys, values
from tests.waiting import wait_for, wait_for_end


class RunsTries:
    """Tries are run, once each, and reported."""

    def test_a_try_is_started_and_ends_with_what_the_task_returned(self, rig: Rig):
        rig.write("good", "print('hello')\nreturn {'rows': 3}")
        work = rig.work("good")
        (ended,) = rig.run(work)
        assert (ended.outcome, ended.cause, ended.detail) == (Outcome.SUCCESS, None, None)
        assert values(ended) == {"return_value": {"rows": 3}}
        assert ended.map_length == 1
        started = rig.started(work)
        assert ended.started_at is not None
        assert started.at <= ended.at
        assert ended.pid == started.pid > 0
        assert "hello" in rig.log_text(work)

    def test_each_report_comes_once_and_the_start_comes_first(self, rig: Rig):
        rig.write("good", "return 1")
        works = [rig.work("good") for _ in range(8)]
        rig.run(*works)
        for work in works:
            mine = [type(report) for report in rig.reports if report.key == work.key]
            assert mine == [Started, Ended]

    def test_a_try_that_was_submitted_twice_runs_once(self, rig: Rig):
        rig.write("once", "with open(MARKS / 'ran', 'a') as f: f.write('x')\nreturn 1")
        work, other = rig.work("once"), rig.work("once")
        rig.submit(work)
        rig.submit(work, work)
        rig.run(other)
        rig.end(work)
        assert rig.mark("ran").read_text() == "xx"

    def test_a_task_can_ask_to_be_skipped(self, rig: Rig):
        rig.write("skip", "from airloom import AirflowSkipException\nraise AirflowSkipException('nothing new')")
        (ended,) = rig.run(rig.work("skip"))
        assert ended.outcome is Outcome.SKIPPED

    def test_a_branch_says_what_it_follows(self, rig: Rig):
        (rig.dags / "branching.py").write_text(
            "from airloom import DAG, task\n"
            "with DAG('branching'):\n"
            "    @task.branch\n    def choose():\n        return 'left'\n"
            "    @task\n    def left(): ...\n    @task\n    def right(): ...\n"
            "    choose() >> [left(), right()]\n"
        )
        (ended,) = rig.run(rig.work("branching", "choose"))
        assert ended.skip is not None
        assert (ended.skip.mode, ended.skip.followed) == (SkipMode.UNFOLLOWED, ("left",))

    def test_tries_run_side_by_side(self, rig: Rig):
        slots = rig.executor.capacity()[0]
        if slots is not None and slots < 2:
            pytest.skip("this executor runs one try at a time")
        rig.write(
            "meet",
            "me, other = 'a', 'b'\n(MARKS / me).touch()\nwhile not (MARKS / other).exists(): time.sleep(0.01)",
            "me, other = 'b', 'a'\n(MARKS / me).touch()\nwhile not (MARKS / other).exists(): time.sleep(0.01)",
        )
        for ended in rig.run(rig.work("meet", "t0"), rig.work("meet", "t1")):
            assert ended.outcome is Outcome.SUCCESS

    def test_adopt_tells_which_tries_are_still_in_hand(self, rig: Rig):
        rig.write("long", "(MARKS / 'up').touch()\ntime.sleep(60)")
        running, unknown = rig.work("long"), rig.work("long")
        rig.submit(running)
        wait_for(rig.mark("up").exists, "the task")
        assert rig.executor.adopt(keys([running, unknown])) == {running.key}


class TellsHowTriesEnd:
    """However a try ends, and whoever ends it, its report has the cause."""

    def test_an_error_of_the_task_is_its_cause_and_its_traceback_is_in_the_log(self, rig: Rig):
        rig.write("bad", "raise ValueError('no such flight')")
        work = rig.work("bad")
        (ended,) = rig.run(work)
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.ERROR)
        assert ended.detail is not None
        assert "ValueError: no such flight" in ended.detail
        assert "bad.py" in rig.log_text(work)

    def test_an_exit_status_without_a_result_is_a_failure_with_that_status(self, rig: Rig):
        rig.write("leaves", "print('going'); sys.stdout.flush(); os._exit(3)")
        work = rig.work("leaves")
        (ended,) = rig.run(work)
        assert (ended.outcome, ended.cause, ended.exit_code) == (Outcome.FAILED, Cause.EXIT, 3)
        assert "going" in rig.log_text(work)

    def test_a_crash_in_native_code_is_told_as_its_signal(self, rig: Rig):
        rig.write("crash", "os.kill(os.getpid(), signal.SIGSEGV)")
        (ended,) = rig.run(rig.work("crash"))
        assert (ended.cause, ended.signal) == (Cause.SIGNAL, signal.SIGSEGV)
        assert "SIGSEGV" in (ended.detail or "")

    def test_a_kill_from_outside_is_told_as_such(self, rig: Rig):
        rig.write("killed", "print('before', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)")
        work = rig.work("killed")
        (ended,) = rig.run(work)
        assert (ended.outcome, ended.cause, ended.signal) == (Outcome.FAILED, Cause.KILLED, signal.SIGKILL)
        assert "before" in rig.log_text(work)

    def test_a_task_that_runs_too_long_is_ended(self, rig: Rig):
        rig.write("slow", "time.sleep(60)")
        (ended,) = rig.run(rig.work("slow", execution_timeout=0.3))
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.TIMEOUT)
        assert "0.3 s" in (ended.detail or "")

    def test_a_cancelled_try_ends_as_cancelled(self, rig: Rig):
        rig.write("long", "(MARKS / 'up').touch()\ntime.sleep(60)")
        work = rig.work("long")
        rig.submit(work)
        wait_for(rig.mark("up").exists, "the task")
        reason = rig.cancel(work, "no longer wanted")
        ended = rig.end(work)
        assert (ended.outcome, ended.cause, ended.detail) == (Outcome.FAILED, Cause.CANCELLED, reason)

    def test_cancelling_a_try_that_is_not_there_does_nothing(self, rig: Rig):
        rig.write("good", "return 1")
        stranger = rig.work("good")
        rig.cancel(stranger, "mistaken")
        (ended,) = rig.run(rig.work("good"))
        assert ended.outcome is Outcome.SUCCESS
        assert rig.told(Ended, stranger) == []

    def test_on_kill_is_called_when_a_try_is_ended(self, rig: Rig):
        (rig.dags / "tidy.py").write_text(
            "import time\nfrom pathlib import Path\nfrom airloom import DAG, BaseOperator\n"
            "class Tidy(BaseOperator):\n"
            f"    def execute(self, context):\n        Path({str(rig.mark('up'))!r}).touch()\n        time.sleep(60)\n"
            f"    def on_kill(self):\n        Path({str(rig.mark('tidied'))!r}).touch()\n"
            "with DAG('tidy'):\n    Tidy(task_id='t0')\n"
        )
        work = rig.work("tidy")
        rig.submit(work)
        wait_for(rig.mark("up").exists, "the task")
        rig.cancel(work, "enough")
        assert rig.end(work).cause is Cause.CANCELLED
        assert rig.mark("tidied").exists()

    def test_a_task_that_ignores_sigterm_is_killed_with_what_it_started(self, rig: Rig):
        rig.write(
            "stubborn",
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "child = subprocess.Popen(['sleep', '60'])\n"
            "other = subprocess.Popen(['sleep', '60'], process_group=0)\n"
            "(MARKS / 'pid.new').write_text(f'{child.pid} {other.pid}')\n"
            "(MARKS / 'pid.new').rename(MARKS / 'pid')\n"
            "while True: time.sleep(60)",
        )
        work = rig.work("stubborn")
        rig.submit(work)
        wait_for(rig.mark("pid").exists, "the task")
        rig.cancel(work, "enough", grace=0.1)
        ended = rig.end(work)
        assert (ended.cause, ended.signal) == (Cause.CANCELLED, signal.SIGKILL)
        for pid in map(int, rig.mark("pid").read_text().split()):
            wait_for_end(pid)

    def test_a_file_that_cannot_be_imported_fails_its_tries_with_the_place(self, rig: Rig):
        rig.write("broken", "return 1", before="import no_such_module_anywhere\n")
        rig.write("good", "return 1")
        broken, good = rig.work("broken"), rig.work("good")
        failed, fine = rig.run(broken, good)
        assert (failed.outcome, failed.cause) == (Outcome.FAILED, Cause.IMPORT)
        assert "no_such_module_anywhere" in (failed.detail or "")
        assert "broken.py:5" in (failed.detail or "")
        assert "Traceback" in rig.log_text(broken)
        assert fine.outcome is Outcome.SUCCESS

    def test_a_task_that_is_no_longer_in_its_file_fails_with_a_sentence(self, rig: Rig):
        rig.write("good", "return 1")
        (ended,) = rig.run(rig.work("good", "renamed"))
        assert ended.cause is Cause.IMPORT
        assert "'renamed'" in (ended.detail or "")

    def test_a_result_that_cannot_be_stored_is_a_failure_that_says_so(self, rig: Rig):
        rig.write("odd", "return object()", "return 'x' * (80 * 1024 * 1024)")
        odd, large = rig.run(rig.work("odd", "t0"), rig.work("odd", "t1"))
        assert (odd.cause, large.cause) == (Cause.RESULT, Cause.RESULT)
        assert odd.detail and large.detail


class ServesTasks:
    """What a task asks, pushes and prints."""

    def test_what_a_task_asks_for_is_answered_by_the_server(self, rig: Rig):
        rig.write("asks", "from airloom import Variable\nreturn Variable.get('region')")
        rig.answers["GetVariable"] = "EWR"
        work = rig.work("asks")
        (ended,) = rig.run(work)
        assert values(ended) == {"return_value": "EWR"}
        assert (work.key, GetVariable(key="region")) in rig.asked

    def test_a_request_waits_while_the_database_is_away(self, rig: Rig):
        rig.write("asks", "from airloom import Variable\nreturn Variable.get('region')")
        failures = [StoreError("away"), StoreError("away")]

        def answer() -> str:
            if failures:
                raise failures.pop()
            return "EWR"

        rig.answers["GetVariable"] = answer
        assert values(rig.run(rig.work("asks"))[0]) == {"return_value": "EWR"}

    def test_a_refusal_of_the_server_is_an_error_in_the_task(self, rig: Rig):
        rig.write("asks", "from airloom import Variable\nreturn Variable.get('region')")
        rig.answers["GetVariable"] = AirloomError("the database is away")
        (ended,) = rig.run(rig.work("asks"))
        assert ended.outcome is Outcome.FAILED
        assert "the database is away" in (ended.detail or "")

    def test_an_xcom_that_was_pushed_counts_even_if_the_task_crashes_then(self, rig: Rig):
        rig.write(
            "pushes",
            "from airloom import get_current_context\n"
            "get_current_context()['ti'].xcom_push(key='so_far', value=17)\nos._exit(1)",
        )
        (ended,) = rig.run(rig.work("pushes"))
        assert ended.outcome is Outcome.FAILED
        assert values(ended) == {"so_far": 17}

    def test_no_secret_that_a_task_was_given_gets_into_its_log(self, rig: Rig):
        rig.write(
            "leaks",
            "import logging\nfrom airloom import Variable\nword = Variable.get('db_password')\n"
            "print('printed', word)\nlogging.getLogger('x').warning('logged %s', word)\n"
            "subprocess.run(['echo', 'echoed ' + word])\nraise ValueError('raised ' + word)",
        )
        rig.answers["GetVariable"] = "hunter2-and-more"
        work = rig.work("leaks")
        (ended,) = rig.run(work)
        text = rig.log_text(work)
        for how in ("printed", "logged", "echoed", "raised"):
            assert f"{how} ***" in text
        assert "hunter2" not in text
        assert "hunter2" not in (ended.detail or "")


class ExecutorConformance(RunsTries, TellsHowTriesEnd, ServesTasks):
    """Subclasses define `make(rig)`: how an executor for the rig's home and DAG folder is made."""

    def make(self, rig: Rig) -> MakeExecutor:
        raise NotImplementedError

    @pytest.fixture
    def rig(self, tmp_path: Path):
        rig = Rig(tmp_path)
        rig.start(self.make(rig))
        yield rig
        rig.executor.close(0)
