"""Parsing DAG files in children: whatever a file does, it harms nobody and says what it did."""

from pathlib import Path

import pytest

from airloom.model.loading import ParsedFile
from airloom.runtime.parsing import ParseJob, ParserPool

GOOD = "from airloom import DAG, task\nwith DAG('{}'):\n    @task\n    def a(): ...\n    a()\n"


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def job(self, name: str, text: str) -> ParseJob:
        path = self.root / name
        path.write_text(text)
        return ParseJob(path=str(path), rel_path=name, file_hash=f"hash of {name}", root=str(self.root))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def pool():
    pool = ParserPool(workers=2, timeout=30.0, memory_limit=512 * 1024 * 1024)
    yield pool
    pool.close()


def parse(pool: ParserPool, *jobs: ParseJob) -> dict[str, ParsedFile]:
    return {parsed.rel_path: parsed for parsed in pool.parse(jobs)}


def test_files_give_their_dags(pool: ParserPool, folder: Folder):
    jobs = [folder.job(f"f{number}.py", GOOD.format(f"dag{number}")) for number in range(10)]
    found = parse(pool, *jobs)
    assert {spec.dag_id for parsed in found.values() for spec in parsed.dags} == {f"dag{n}" for n in range(10)}
    assert found["f3.py"].file_hash == "hash of f3.py"
    assert not any(parsed.errors or parsed.threads for parsed in found.values())


def test_a_module_beside_the_file_can_be_imported_and_is_fresh_each_time(pool: ParserPool, folder: Folder):
    job = folder.job("uses.py", "from helping import NAME\nfrom airloom import DAG\ndag = DAG(NAME)\n")
    for name in ("first", "second"):
        (folder.root / "helping.py").write_text(f"NAME = '{name}-dag'\n")
        assert [spec.dag_id for spec in parse(pool, job)["uses.py"].dags] == [f"{name}-dag"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_module\n", "no_such_module"),
        ("import sys; sys.exit(2)\n", "sys.exit(2)"),
        ("import os; os._exit(3)\n", "ended its process with exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n", "SIGKILL"),
        ("x = bytearray(4 * 1024**3)\n", "takes more than 512 MiB of memory"),
    ],
)
def test_a_file_that_does_harm_is_an_error_of_its_own(pool: ParserPool, folder: Folder, text: str, says: str):
    found = parse(pool, folder.job("bad.py", text), folder.job("good.py", GOOD.format("good")))
    (error,) = found["bad.py"].errors
    assert says in error.text
    assert error.rel_path == "bad.py"
    assert [spec.dag_id for spec in found["good.py"].dags] == ["good"]


@pytest.mark.parametrize("text", ["import time; time.sleep(60)\n", "while True: pass\n"])
def test_a_file_that_never_comes_to_its_end_is_an_error_after_the_time_limit(folder: Folder, text: str):
    pool = ParserPool(workers=1, timeout=0.5)
    (error,) = parse(pool, folder.job("bad.py", text))["bad.py"].errors
    pool.close()
    assert "was not imported within 0.5 s" in error.text


def test_a_file_that_prints_a_megabyte_is_parsed(pool: ParserPool, folder: Folder):
    text = "print('x' * 1_000_000)\nimport sys\nprint('y' * 1_000_000, file=sys.stderr)\n" + GOOD.format("loud")
    assert [spec.dag_id for spec in parse(pool, folder.job("loud.py", text))["loud.py"].dags] == ["loud"]


def test_what_a_crashing_file_printed_last_comes_with_its_error(pool: ParserPool, folder: Folder):
    found = parse(pool, folder.job("bad.py", "print('about to go')\nimport os, sys\nsys.stdout.flush()\nos._exit(1)\n"))
    assert "about to go" in (found["bad.py"].errors[0].traceback or "")


def test_a_file_that_forks_gives_one_result(pool: ParserPool, folder: Folder):
    found = list(pool.parse([folder.job("forks.py", "import os\nos.fork()\n" + GOOD.format("forks"))]))
    assert [spec.dag_id for parsed in found for spec in parsed.dags] == ["forks"]


def test_a_file_that_starts_threads_is_told_as_such(pool: ParserPool, folder: Folder):
    text = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    parsed = parse(pool, folder.job("threads.py", text + GOOD.format("threads")))["threads.py"]
    assert parsed.threads
    assert [spec.dag_id for spec in parsed.dags] == ["threads"]


def test_a_caller_that_stops_early_can_parse_again(pool: ParserPool, folder: Folder):
    jobs = [folder.job("slow.py", "import time; time.sleep(60)\n"), folder.job("good.py", GOOD.format("good"))]
    results = pool.parse(jobs)
    assert next(results).rel_path == "good.py"
    results.close()
    assert [spec.dag_id for spec in parse(pool, jobs[1])["good.py"].dags] == ["good"]


def test_a_pool_that_was_closed_starts_again(pool: ParserPool, folder: Folder):
    job = folder.job("good.py", GOOD.format("good"))
    for _ in range(2):
        assert parse(pool, job)["good.py"].dags
        pool.close()


def test_a_file_whose_process_sends_what_is_no_message_holds_nobody_up(pool: ParserPool, folder: Folder):
    text = (
        "import os, time\n"
        "fd = next(fd for fd in range(3, 20) if os.path.exists(f'/proc/self/fd/{fd}')\n"
        "          and 'socket' in os.readlink(f'/proc/self/fd/{fd}'))\n"
        "os.write(fd, b'\\xff' * 64)\ntime.sleep(60)\n"
    )
    found = parse(pool, folder.job("garbles.py", text), folder.job("good.py", GOOD.format("good")))
    assert "sent what cannot be read" in found["garbles.py"].errors[0].text
    assert found["good.py"].dags
