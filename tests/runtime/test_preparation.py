"""The code of tries, before they get a process: found at once, got from elsewhere, or not to be had."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from airloom.bundles.git import folder_of
from airloom.bundles.local import content_hash
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import GitBundle
from airloom.model.report import TryKey
from airloom.model.wire import GetSource, Source
from airloom.model.work import RunInfo, Work
from airloom.runtime import preparation as module
from airloom.runtime.loop import Loop
from airloom.runtime.preparation import Code, Preparation, Refused
from tests.bundles.repositories import Remote

DEADLINE = 60.0
TEXT = b"# the text of the version\n"


class Bench:
    """A preparation, what it said, and a folder of DAG files."""

    def __init__(self, folder: Path, server: str = "http://elsewhere") -> None:
        self.home = folder / "home"
        self.dags = folder / "dags"
        self.dags.mkdir(parents=True)
        self.remote = Remote(folder / "remote")
        self.loop = Loop()
        self.asked: list[GetSource] = []
        self.found: dict[TryKey, Code] = {}
        self.lacking: dict[TryKey, str] = {}
        self.settings = LocalSettings(
            home=str(self.home),
            bundles={"dags": f"{self.dags}/"},
            repositories={"flows": GitBundle(url=self.remote.url, subfolder="sub")},
            server=server,
        )
        self.preparation = Preparation(self.loop, self.settings, self.asked.append, self.told)

    def told(self, key: TryKey, code: Code | str) -> None:
        if isinstance(code, str):
            self.lacking[key] = code
        else:
            self.found[key] = code

    def until(self, done: Callable[[], object]) -> None:
        """Turn the loop until that is so."""
        deadline = time.monotonic() + DEADLINE
        self.loop.later(DEADLINE, lambda: None)
        while not done():
            assert time.monotonic() < deadline, (self.found, self.lacking)
            self.loop.turn()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.preparation.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(module, "_LOOK", 0.05)


def work(number: int, rel_path: str = "one.py", **values: object) -> Work:
    fields = {"bundle": "dags", "file_hash": content_hash(TEXT), "token": f"t{number}", **values}
    run = RunInfo(run_id="r", run_type="manual", run_after=0.0)
    return Work(
        key=TryKey(number, 1),
        dag_id="one",
        task_id="t",
        run=run,
        run_key=1,
        rel_path=rel_path,
        version_id=1,
        **fields,  # type: ignore[arg-type]
    )


def of_commit(number: int, commit: str | None) -> Work:
    return work(number, bundle="flows", bundle_version=commit)


# --- folders ---------------------------------------------------------------------------------------------------------
def test_a_file_that_is_what_the_run_needs_is_used_as_it_is(bench: Bench) -> None:
    path = bench.dags / "one.py"
    path.write_bytes(TEXT)
    assert bench.preparation.find(work(1)) == Code(str(bench.dags), str(path), str(path))
    assert bench.asked == []


def test_the_kept_text_of_the_version_comes_before_the_file(bench: Bench) -> None:
    (bench.dags / "one.py").write_bytes(TEXT)
    kept = Path(bench.settings.kept_source(content_hash(TEXT)))
    kept.parent.mkdir(parents=True)
    kept.write_bytes(TEXT)
    assert bench.preparation.find(work(1)) == Code(str(bench.dags), str(bench.dags / "one.py"), str(kept))


def test_on_the_schedulers_machine_a_text_that_was_not_kept_is_that_of_the_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, server="")
    path = str(bench.dags / "one.py")
    assert bench.preparation.find(work(1)) == Code(str(bench.dags), path, path)


@pytest.mark.parametrize("there", [None, b"# another text"])
def test_tries_whose_file_is_another_one_wait_for_one_answer_of_the_server(bench: Bench, there: bytes | None) -> None:
    if there is not None:
        (bench.dags / "one.py").write_bytes(there)
    works = [work(number) for number in range(3)]
    assert [bench.preparation.find(one) for one in works] == [None] * 3
    bench.until(lambda: bench.asked)
    assert [(one.key, one.token) for one in bench.asked] == [(works[0].key, "t0")]
    bench.preparation.sources.heard(Source(file_hash=content_hash(TEXT), text=TEXT))
    kept = bench.settings.kept_source(content_hash(TEXT))
    code = Code(str(bench.dags), str(bench.dags / "one.py"), kept)
    assert bench.found == {one.key: code for one in works}
    assert Path(kept).read_bytes() == TEXT
    assert bench.preparation.find(work(9)) == code


def test_texts_of_the_server_that_no_try_uses_any_more_are_removed_in_time(bench: Bench) -> None:
    for text in (TEXT, b"# used", b"# unused"):
        kept = Path(bench.settings.kept_source(content_hash(text)))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(text)
        os.utime(kept, (1, 1))
    bench.preparation.find(work(1, file_hash=content_hash(b"# used")))
    os.utime(bench.settings.kept_source(content_hash(TEXT)))
    bench.loop.turn()
    there = {path.read_bytes() for path in Path(bench.settings.fetched).iterdir()}
    assert there == {TEXT, b"# used"}


def test_texts_on_the_schedulers_machine_are_not_removed_by_a_runner(tmp_path: Path) -> None:
    bench = Bench(tmp_path, server="")
    kept = Path(bench.settings.kept_source(content_hash(TEXT)))
    kept.parent.mkdir(parents=True)
    kept.write_bytes(TEXT)
    os.utime(kept, (1, 1))
    bench.loop.turn()
    assert kept.exists()


def test_a_file_that_changes_is_read_again(bench: Bench) -> None:
    path = bench.dags / "one.py"
    path.write_bytes(TEXT)
    assert bench.preparation.find(work(1)) is not None
    path.write_bytes(b"# mended")
    assert bench.preparation.find(work(2)) is None
    path.write_bytes(TEXT)
    os.utime(path, (1, 1))
    assert bench.preparation.find(work(3)) is not None


@pytest.mark.parametrize("text", [None, b"# not the one"])
@pytest.mark.usefixtures("impatient")
def test_a_text_that_the_server_does_not_have_is_asked_for_again_and_then_given_up(
    bench: Bench, text: bytes | None
) -> None:
    bench.preparation.find(work(1))
    while not bench.lacking:
        bench.until(lambda: bench.asked or bench.lacking)
        for question in bench.asked:
            bench.preparation.sources.heard(Source(file_hash=question.file_hash, text=text))
        bench.asked.clear()
    assert bench.lacking == {TryKey(1, 1): "the server does not have the text of one.py that the run needs"}
    assert not Path(bench.settings.kept_source(content_hash(TEXT))).exists()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_given_up(bench: Bench) -> None:
    bench.preparation.find(work(1))
    bench.until(lambda: bench.lacking)
    assert bench.lacking == {TryKey(1, 1): "the server did not send the text of one.py that the run needs"}


@pytest.mark.usefixtures("impatient")
def test_a_folder_that_is_away_is_waited_for(bench: Bench) -> None:
    (bench.dags / "one.py").write_bytes(TEXT)
    away = bench.dags.rename(bench.dags.with_name("away"))
    bench.preparation.find(work(1))
    bench.until(lambda: bench.lacking)
    assert bench.lacking[TryKey(1, 1)] == f"the folder {bench.dags} is not on this machine: is a disk not mounted?"
    bench.preparation.find(work(2))
    away.rename(bench.dags)
    bench.until(lambda: bench.found)
    assert bench.found[TryKey(2, 1)].root == str(bench.dags)


# --- repositories ----------------------------------------------------------------------------------------------------
def test_tries_of_one_commit_wait_for_one_fetch_and_others_do_not_wait(bench: Bench) -> None:
    first, second = (bench.remote.commit(sub__one=text) for text in ("1", "2"))
    (bench.dags / "one.py").write_bytes(TEXT)
    works = [of_commit(1, first), of_commit(2, first), of_commit(3, second)]
    assert [bench.preparation.find(one) for one in works] == [None] * 3
    assert bench.preparation.find(work(4)) is not None
    bench.until(lambda: len(bench.found) == 3)
    for one, text in zip(works, ("1", "1", "2"), strict=True):
        code = bench.found[one.key]
        assert code.root == f"{folder_of(str(bench.home), 'flows')}/at/{one.bundle_version}/sub"
        assert code.path == code.source == f"{code.root}/one.py"
        assert Path(code.path).read_text() == text
    assert bench.preparation.find(of_commit(5, first)) == bench.found[TryKey(1, 1)]


def test_a_commit_in_use_is_marked_so_that_it_stays(bench: Bench) -> None:
    commit = bench.remote.commit(sub__one="1")
    bench.preparation.find(of_commit(1, commit))
    bench.until(lambda: bench.found)
    tree = folder_of(str(bench.home), "flows") / "at" / commit
    os.utime(tree, (1, 1))
    Preparation(bench.loop, bench.settings, bench.asked.append, bench.told).find(of_commit(2, commit))
    assert tree.stat().st_mtime > 1_000_000


@pytest.mark.usefixtures("impatient")
def test_a_commit_that_cannot_be_had_is_given_up_with_the_reason(bench: Bench) -> None:
    bench.remote.commit(sub__one="1")
    bench.preparation.find(of_commit(1, "1" * 40))
    bench.until(lambda: bench.lacking)
    assert bench.lacking[TryKey(1, 1)] == (
        f"commit {'1' * 12} of the bundle flows cannot be had: there is no commit {'1' * 40} in {bench.remote.url} "
        "any more"
    )


@pytest.mark.usefixtures("impatient")
def test_a_bundle_that_the_settings_have_no_more_while_a_try_waits_for_it_is_no_harm(bench: Bench) -> None:
    one = of_commit(1, bench.remote.commit(sub__one="1"))
    assert bench.preparation.find(one) is None
    bench.preparation.settings = msgspec.structs.replace(bench.settings, repositories={})
    bench.until(lambda: bench.lacking)
    assert "the settings of this machine have no bundle 'flows'" in bench.lacking[one.key]


def test_a_repository_that_comes_back_in_time_is_enough(bench: Bench) -> None:
    commit = bench.remote.commit(sub__one="1")
    away = bench.remote.folder.rename(bench.remote.folder.with_name("away"))
    bench.preparation.find(of_commit(1, commit))
    failed = []
    real = bench.preparation._failed
    bench.preparation._failed = lambda *given: (failed.append(given), real(*given))  # type: ignore[assignment, func-returns-value]
    bench.until(lambda: failed)
    away.rename(bench.remote.folder)
    bench.until(lambda: bench.found)
    assert bench.lacking == {}


def test_a_try_that_is_not_wanted_any_more_is_forgotten(bench: Bench) -> None:
    commit = bench.remote.commit(sub__one="1")
    bench.preparation.find(of_commit(1, commit))
    bench.preparation.find(of_commit(2, commit))
    assert bench.preparation.forget(TryKey(1, 1))
    assert not bench.preparation.forget(TryKey(1, 1))
    bench.until(lambda: bench.found)
    assert set(bench.found) == {TryKey(2, 1)}


def test_closing_ends_a_fetch_that_goes_on(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "never")
    os.mkfifo(tmp_path / "begun")
    (tmp_path / "git").write_text(f"#!/bin/sh\necho > {tmp_path}/begun\ncat {tmp_path}/never\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    bench.preparation.find(of_commit(1, "1" * 40))
    bench.loop.turn()
    (tmp_path / "begun").read_bytes()
    (child,) = bench.preparation._fetcher._children
    bench.preparation.close()
    assert child.returncode == 0
    assert bench.found == bench.lacking == {}


# --- what is refused -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rel_path", ["/etc/passwd", "../one.py", "a/../../one.py", "..", "a\0b"])
@pytest.mark.parametrize("bundle", ["dags", "flows"])
def test_a_path_that_leads_out_of_the_bundle_is_refused(bench: Bench, bundle: str, rel_path: str) -> None:
    with pytest.raises(Refused, match="its path leads out of its bundle"):
        bench.preparation.find(work(1, rel_path, bundle=bundle, bundle_version="1" * 40))


@pytest.mark.parametrize("commit", ["main", "../../x", "--all", ""])
def test_what_is_no_commit_is_refused(bench: Bench, commit: str) -> None:
    with pytest.raises(Refused, match="is no commit of the bundle flows"):
        bench.preparation.find(of_commit(1, commit))


def test_a_bundle_that_a_runner_of_this_machine_does_not_have_is_refused_with_those_that_it_has(tmp_path: Path) -> None:
    bench = Bench(tmp_path, server="")
    with pytest.raises(Refused, match=r"this machine have no bundle '\.\./x'; they have dags, flows"):
        bench.preparation.find(work(1, bundle="../x"))
    bench.preparation.close()


@pytest.mark.usefixtures("impatient")
def test_a_bundle_that_is_missing_in_one_workers_settings_fails_no_task(bench: Bench) -> None:
    one, two = work(1, bundle="other"), work(2, bundle="other")
    assert bench.preparation.find(one) is None
    bench.until(lambda: bench.lacking)
    assert bench.lacking == {one.key: "the settings of this machine have no bundle 'other'; they have dags, flows"}
    (bench.dags / "one.py").write_bytes(TEXT)
    assert bench.preparation.find(two) is None
    bench.preparation.settings = msgspec.structs.replace(bench.settings, bundles={"other": str(bench.dags)})
    bench.until(lambda: bench.found)
    assert set(bench.found) == {two.key}


def test_a_run_of_when_the_bundle_was_a_folder_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="trigger the dag again"):
        bench.preparation.find(of_commit(1, None))
