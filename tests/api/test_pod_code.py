"""Where a pod has the code of its try from: its image or a mount, the server, or a repository that an init container
fetches.
"""

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airloom.bundles.sources import GitSource
from airloom.executors import pod_terms
from airloom.model.bundles import GitBundle
from airloom.model.work import Work
from tests.api.pod_rig import Pod
from tests.api.remote_rig import Remote, remote_rig
from tests.bundles.repositories import Remote as Repository
from tests.bundles.smart_http import TOKEN, smart_http
from tests.waiting import wait_for

DAG = """
from airloom import dag, task
from words import WORD


@dag(schedule=None)
def says():
    @task
    def say():
        print("the word is", WORD)

    say()


says()
"""

#: an ssh that reaches this machine, and notes with which key
SSH = """#!/bin/sh
for word; do
    [ "$before" = -i ] && key=$word
    before=$word
done
stat -c %a "$key" > {notes}
cat "$key" >> {notes}
exec sh -c "$word"
"""


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        remote.executor.holding = True
        yield remote


@pytest.fixture
def pod(remote: Remote) -> Iterator[Pod]:
    made = Pod(remote)
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "flows.git")
    made.commit(dags__says=DAG, dags__words="WORD = 'first'")
    return made


def handed_out(remote: Remote, repository: Repository) -> tuple[str, Work]:
    """A run of the repository's dag, as its task was handed out."""
    bundle = GitBundle(url=repository.url, subfolder="dags")
    remote.load(GitSource(str(remote.settings.core.home), "flows", bundle, time.time))
    run_id = remote.trigger("says")
    remote.key_of("say")
    return run_id, remote.executor.held[-1]


def without_git(folder: Path) -> str:
    """A PATH on which there is no git."""
    folder.mkdir()
    (folder / "sh").symlink_to(str(shutil.which("sh")))
    return str(folder)


def test_an_init_container_fetches_the_commit_of_the_run_and_the_try_needs_no_git(
    remote: Remote, pod: Pod, repository: Repository, tmp_path: Path
):
    run_id, work = handed_out(remote, repository)
    repository.commit(dags__words="WORD = 'second'")
    bundles = {"flows": GitBundle(url=repository.url, subfolder="dags")}
    assert pod.run(work, *pod_terms.FETCH[2:], repositories=bundles) == pod_terms.DONE, pod.said
    (tree,) = (pod.home / "bundles" / "flows" / "at").iterdir()
    assert tree.name == work.bundle_version
    assert (pod.home / "bundles" / "flows" / "clone.git" / "shallow").exists()
    pod.environment = {"PATH": without_git(tmp_path / "bin")}
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("says", run_id) == "success"
    assert remote.has_logged(work.key, "the word is first")


def test_what_was_fetched_can_be_read_by_a_container_of_another_user(remote: Remote, pod: Pod, repository: Repository):
    _, work = handed_out(remote, repository)
    bundles = {"flows": GitBundle(url=repository.url, subfolder="dags")}
    assert pod.run(work, *pod_terms.FETCH[2:], repositories=bundles) == pod_terms.DONE
    file = pod.home / "bundles" / "flows" / "at" / str(work.bundle_version) / "dags" / "says.py"
    for path in (file, *file.parents):
        if path.is_relative_to(pod.home / "bundles"):
            assert path.stat().st_mode & stat.S_IROTH, path


def test_a_token_is_in_the_init_container_only(remote: Remote, pod: Pod, repository: Repository, tmp_path: Path):
    run_id, work = handed_out(remote, repository)
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with smart_http(repository.folder) as (url, _asked):
        bundles = {"flows": GitBundle(url=url, subfolder="dags", token_file=str(token))}
        assert pod.run(work, *pod_terms.FETCH[2:], repositories=bundles) == pod_terms.DONE, pod.said
    token.unlink()
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("says", run_id) == "success"
    assert not [path for path in pod.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_an_ssh_key_that_others_may_read_as_kubernetes_mounts_it_is_used(
    remote: Remote, pod: Pod, repository: Repository, tmp_path: Path
):
    _, work = handed_out(remote, repository)
    key, notes, programs = tmp_path / "key", tmp_path / "notes", tmp_path / "bin"
    key.write_text("the private key\n")
    key.chmod(0o444)
    programs.mkdir()
    (programs / "ssh").write_text(SSH.format(notes=notes))
    (programs / "ssh").chmod(0o755)
    pod.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    url = f"ssh://git@git.example{repository.folder}"
    bundles = {"flows": GitBundle(url=url, subfolder="dags", ssh_key_file=str(key))}
    assert pod.run(work, *pod_terms.FETCH[2:], repositories=bundles) == pod_terms.DONE, pod.said
    assert notes.read_text() == "600\nthe private key\n"


def test_code_that_cannot_be_fetched_ends_the_pod_with_the_reason(remote: Remote, pod: Pod, repository: Repository):
    _, work = handed_out(remote, repository)
    bundles = {"flows": GitBundle(url=f"{repository.url}.away")}
    status = pod.run(work, *pod_terms.FETCH[2:], repositories=bundles, orphan_timeout=0.1)
    assert status == pod_terms.UNABLE
    assert pod.last_words.startswith(f"commit {str(work.bundle_version)[:12]} of the bundle flows cannot be had: ")


def test_an_init_container_that_is_ended_fetches_no_longer(remote: Remote, pod: Pod, repository: Repository):
    _, work = handed_out(remote, repository)
    pod.start(work, *pod_terms.FETCH[2:], repositories={"flows": GitBundle(url=f"{repository.url}.away")})
    wait_for(lambda: "it is tried again" in pod.said, "the first attempt")
    assert pod.process is not None
    pod.process.send_signal(signal.SIGTERM)
    assert pod.ended() == pod_terms.STOPPED


def test_code_of_the_image_needs_no_fetching_and_may_be_read_only(remote: Remote, pod: Pod, tmp_path: Path):
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "words.py").write_text("WORD = 'baked in'\n")
    (folder / "says.py").write_text(DAG)
    remote.dags.mkdir()
    (remote.dags / "words.py").write_text("WORD = 'of the scheduler'\n")
    remote.write("says", DAG)
    run_id = remote.trigger("says")
    remote.key_of("say")
    work = remote.executor.held[-1]
    folder.chmod(0o555)
    bundles = {"dags": str(folder)}
    assert pod.run(work, *pod_terms.FETCH[2:], bundles=bundles) == pod_terms.DONE
    assert pod.run(work) == pod_terms.DONE, pod.said
    assert remote.ended("says", run_id) == "success"
    assert remote.has_logged(work.key, "the word is baked in")


def test_a_dag_file_that_is_older_in_the_image_comes_from_the_server(remote: Remote, pod: Pod, tmp_path: Path):
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "says.py").write_text("an old one")
    (folder / "words.py").write_text("WORD = 'baked in'\n")
    remote.dags.mkdir()
    (remote.dags / "words.py").write_text("WORD = 'of the scheduler'\n")
    remote.write("says", DAG)
    run_id = remote.trigger("says")
    remote.key_of("say")
    assert pod.run(remote.executor.held[-1], bundles={"dags": str(folder)}) == pod_terms.DONE, pod.said
    assert remote.ended("says", run_id) == "success"
