"""Repositories as bundles, with the real git: fetching, commits' folders, and all that may go wrong on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from airloom.bundles.fetch import Fetched, FetchJob
from airloom.bundles.git import KEPT, Repository, folder_of, root_of
from airloom.bundles.git_program import RepositoryError
from airloom.model.bundles import GitBundle
from tests.bundles.repositories import Remote
from tests.bundles.smart_http import TOKEN, smart_http

DEADLINE = 60.0


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def repository(home: str, remote: Remote, **values: str) -> Repository:
    return Repository(home, "flows", GitBundle(url=remote.url, **values))  # type: ignore[arg-type]


def text_of(repo: Repository, commit: str, name: str) -> str:
    return (Path(repo.check_out(commit)) / name).read_text()


def names(folder: str | Path) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def refused(act: object, *arguments: str) -> str:
    with pytest.raises(RepositoryError) as caught:
        act(*arguments)  # type: ignore[operator]
    return str(caught.value)


# --- what a ref points to --------------------------------------------------------------------------------------------
def test_a_branch_is_followed_and_each_commit_has_its_own_files(home: str, remote: Remote) -> None:
    repo = repository(home, remote, ref="main")
    first = remote.commit(a="one")
    assert repo.fetch() == first
    second = remote.commit(a="two")
    assert repo.fetch() == second
    assert (text_of(repo, first, "a.py"), text_of(repo, second, "a.py")) == ("one", "two")
    assert repo.check_out(first) == root_of(home, "flows", GitBundle(url=remote.url), first)


def test_without_a_ref_it_is_the_branch_that_the_repository_names(home: str, remote: Remote) -> None:
    commit = remote.commit(a="one")
    assert repository(home, remote).fetch() == commit


def test_a_tag_with_a_message_is_the_commit_that_it_names(home: str, remote: Remote) -> None:
    commit = remote.commit(a="one")
    remote.git("tag", "--annotate", "v1", "--message=first")
    remote.commit(a="two")
    assert repository(home, remote, ref="v1").fetch() == commit


def test_a_commit_as_ref_stays_where_it_is(home: str, remote: Remote) -> None:
    commit = remote.commit(a="one")
    remote.commit(a="two")
    repo = repository(home, remote, ref=commit)
    assert repo.fetch() == commit
    assert text_of(repo, commit, "a.py") == "one"


def test_a_branch_that_was_written_anew_is_followed_and_the_old_commit_stays(home: str, remote: Remote) -> None:
    repo = repository(home, remote, ref="main")
    remote.commit(a="one")
    old = remote.commit(a="two")
    repo.check_out(repo.fetch())
    remote.git("reset", "--hard", "--quiet", "HEAD~1")
    new = remote.commit(a="three")
    assert repo.fetch() == new
    assert (text_of(repo, old, "a.py"), text_of(repo, new, "a.py")) == ("two", "three")


def test_a_subfolder_is_the_root_and_one_that_is_not_there_is_named(home: str, remote: Remote) -> None:
    commit = remote.commit(flows__a="one", other__b="two")
    assert names(repository(home, remote, subfolder="flows").check_out(commit)) == ["a.py"]
    told = refused(repository(home, remote, subfolder="dags").check_out, commit)
    assert told == (
        f"there is no folder dags in commit {commit[:12]} of {remote.url}: correct subfolder in [bundles.flows]"
    )


def test_the_files_that_differ_are_told_by_their_paths_below_the_subfolder(home: str, remote: Remote) -> None:
    repo = repository(home, remote, ref="main", subfolder="flows")
    remote.commit(flows__same="1", flows__changed="1", flows__gone="1", other__x="1")
    old = repo.fetch()
    remote.commit(flows__changed="2", flows__gone=None, flows__new__in="1", other__x="2")
    new = repo.fetch()
    assert repo.changes(old, new) == {"changed.py", "gone.py", "new/in.py"}
    assert repo.changes("0" * 40, new) is None


def test_attributes_hooks_and_links_of_a_repository_run_nothing_and_hide_nothing(
    home: str, remote: Remote, tmp_path: Path
) -> None:
    (remote.folder / ".gitattributes").write_text("hidden.py export-ignore\n*.py filter=evil\n")
    (remote.folder / "hooks").mkdir()
    (remote.folder / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (remote.folder / "hooks" / "post-checkout").chmod(0o755)
    (remote.folder / "link.py").symlink_to("/etc/hostname")
    commit = remote.commit(hidden="x")
    root = Path(repository(home, remote, ref="main").check_out(commit))
    assert (root / "hidden.py").read_text() == "x"
    assert (root / "link.py").readlink() == Path("/etc/hostname")
    assert not (tmp_path / "ran").exists()


# --- what goes wrong -------------------------------------------------------------------------------------------------
def test_a_branch_that_is_gone_is_named(home: str, remote: Remote) -> None:
    remote.commit(a="one")
    remote.git("branch", "work")
    repo = repository(home, remote, ref="work")
    repo.fetch()
    remote.git("branch", "--delete", "work")
    assert refused(repo.fetch) == f"there is no branch or tag 'work' in {remote.url}"


def test_a_repository_that_is_away_is_an_error_and_what_was_fetched_stays(home: str, remote: Remote) -> None:
    repo = repository(home, remote, ref="main")
    commit = remote.commit(a="one")
    repo.fetch()
    remote.folder.rename(remote.folder.with_name("away"))
    assert "does not appear to be a git repository" in refused(repo.fetch)
    assert text_of(repo, commit, "a.py") == "one"


def test_an_empty_repository_is_named(home: str, remote: Remote) -> None:
    assert refused(repository(home, remote).fetch) == f"there is no commit in {remote.url}"


def test_a_commit_that_nobody_has_is_named(home: str, remote: Remote) -> None:
    remote.commit(a="one")
    missing = "1" * 40
    assert (
        refused(repository(home, remote).check_out, missing) == f"there is no commit {missing} in {remote.url} any more"
    )


@pytest.mark.parametrize("commit", ["main", "../../../etc", "-x", "", "a" * 39, "A" * 40])
def test_what_is_no_commit_leads_nowhere(home: str, remote: Remote, commit: str) -> None:
    remote.commit(a="one")
    assert refused(repository(home, remote).check_out, commit) == f"{commit!r} is no commit"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {mark}",
        "--upload-pack=touch {mark}",
        "ssh://-oProxyCommand=touch {mark}/x",
        "fd::17",
    ],
)
def test_an_address_that_would_run_a_program_runs_none(home: str, tmp_path: Path, url: str) -> None:
    mark = tmp_path / "ran"
    refused(Repository(home, "flows", GitBundle(url=url.format(mark=mark))).fetch)
    assert not mark.exists()


def test_variables_of_the_environment_do_not_lead_git_astray(
    home: str, remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = remote.commit(a="one")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    repo = repository(home, remote)
    assert text_of(repo, repo.fetch(), "a.py") == "one"
    assert commit == repo.fetch()
    assert not (tmp_path / "elsewhere").exists()


# --- a server that asks for a token ----------------------------------------------------------------------------------
def test_a_token_is_read_from_its_file_and_shown_nowhere(home: str, remote: Remote, tmp_path: Path) -> None:
    commit = remote.commit(a="one")
    token = tmp_path / "token"
    with smart_http(remote.folder) as (url, asked):
        bundle = GitBundle(url=url, token_file=str(token))
        token.write_text(f"{TOKEN}\n")
        assert Repository(home, "flows", bundle).fetch() == commit
        assert asked
        token.write_text("wrong-secret\n")
        told = refused(Repository(home, "flows", bundle).fetch)
        assert told == f"{url}: it refuses the token in {token}"
        without = refused(Repository(home, "flows", GitBundle(url=url)).fetch)
        assert without == f"{url}: it asks for a token: name its file as token_file"
        token.unlink()
        assert refused(Repository(home, "flows", bundle).fetch).startswith(f"the token_file {token} cannot be read")
    written = b"".join(path.read_bytes() for path in Path(home).rglob("*") if path.is_file())
    assert TOKEN.encode() not in written


# --- several processes, and ones that are killed ---------------------------------------------------------------------
def job(home: str, remote: Remote, commit: str) -> str:
    bundle = GitBundle(url=remote.url, ref="main")
    return msgspec.json.encode(FetchJob(home=home, name="flows", bundle=bundle, commit=commit)).decode()


def start(home: str, remote: Remote, commit: str, **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "airloom.bundles.fetch", job(home, remote, commit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | environment)


def test_processes_that_want_the_same_commit_at_once_all_get_it(home: str, remote: Remote) -> None:
    commit = remote.commit(**{f"a{number}": "x" * 1000 for number in range(200)})
    processes = [start(home, remote, commit) for _ in range(4)]
    for process in processes:
        said, _ = process.communicate(timeout=DEADLINE)
        root = Path(msgspec.json.decode(said, type=Fetched).root)
        assert len(list(root.glob("*.py"))) == 200


@pytest.fixture
def slow_git(tmp_path: Path) -> Path:
    """A folder with a git that stops before one of its commands, says so, and waits to be let go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "git").write_text(
        f'#!/bin/sh\nif [ "$2" = "$STOP_AT" ]; then echo > {tmp_path}/reached; cat {tmp_path}/go > /dev/null; fi\n'
        f'exec {real} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    os.mkfifo(tmp_path / "reached")
    os.mkfifo(tmp_path / "go")
    return folder


@pytest.mark.parametrize("command", ["init", "fetch", "update-ref", "read-tree", "checkout-index"])
def test_a_process_that_is_killed_on_the_way_leaves_nothing_half(
    home: str, remote: Remote, slow_git: Path, tmp_path: Path, command: str
) -> None:
    commit = remote.commit(a="one", b="two")
    process = start(home, remote, commit, PATH=f"{slow_git}:{os.environ['PATH']}", STOP_AT=command)
    (tmp_path / "reached").read_bytes()  # it is there
    process.kill()
    process.wait(DEADLINE)
    trees = Path(home, "bundles", "flows", "at")
    assert [tree.name for tree in trees.glob("[!.]*")] == []
    # Its git goes on, and has the lock: the next one waits for it.
    found: list[str] = []
    next_one = threading.Thread(target=lambda: found.append(repository(home, remote).check_out(commit)))
    next_one.start()
    (tmp_path / "go").write_bytes(b"")
    next_one.join(DEADLINE)
    assert names(found[0]) == ["a.py", "b.py"]


def test_locks_that_a_killed_git_left_hold_nobody_up(home: str, remote: Remote) -> None:
    remote.commit(a="one")
    repo = repository(home, remote, ref="main")
    repo.fetch()
    clone = folder_of(home, "flows") / "clone.git"
    for name in ("shallow.lock", "packed-refs.lock", "refs/airloom/tip.lock"):
        (clone / name).touch()
    commit = remote.commit(a="two")
    assert repo.fetch() == commit


@pytest.mark.parametrize("damage", [b"", b"no object at all"])
def test_a_clone_that_a_power_failure_damaged_is_made_anew(home: str, remote: Remote, damage: bytes) -> None:
    remote.commit(a="one", b="two")
    repo = repository(home, remote, ref="main")
    first = repo.fetch()
    for path in (folder_of(home, "flows") / "clone.git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(damage)
    assert names(repo.check_out(first)) == ["a.py", "b.py"]
    second = remote.commit(a="three")
    assert repo.fetch() == second
    assert text_of(repo, second, "a.py") == "three"


def test_a_fetch_that_is_not_wanted_any_more_ends_with_its_git(
    home: str, remote: Remote, slow_git: Path, tmp_path: Path
) -> None:
    commit = remote.commit(a="one")
    process = start(home, remote, commit, PATH=f"{slow_git}:{os.environ['PATH']}", STOP_AT="fetch")
    (tmp_path / "reached").read_bytes()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=DEADLINE)
    assert msgspec.json.decode(said, type=Fetched).error
    assert process.returncode == 0
    assert text_of(repository(home, remote), commit, "a.py") == "one"


# --- tidying up ------------------------------------------------------------------------------------------------------
def test_folders_that_nobody_has_used_for_long_go_and_can_be_had_again(home: str, remote: Remote) -> None:
    repo = repository(home, remote, ref="main")
    old, used, current = (remote.commit(a=text) for text in ("old", "used", "current"))
    trees = {commit: Path(repo.check_out(commit)) for commit in (old, used, current)}
    now = time.time()
    for commit in (old, current):
        os.utime(trees[commit], (now - KEPT - 60,) * 2)
    half = trees[old].with_name(f".{used}")
    half.mkdir()
    half.with_name(f".{used}.index").touch()
    repo.sweep(now, current)
    assert names(half.parent) == sorted([used, current])
    assert text_of(repo, old, "a.py") == "old"
