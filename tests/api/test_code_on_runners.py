"""A runner on another machine whose DAG code is not the scheduler's: it gets what the run needs."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from airloom.bundles.local import content_hash
from airloom.executors.settings import write_settings
from tests.api.remote_rig import Remote, remote_rig
from tests.waiting import wait_for

SAYS = """
from airloom import dag, task
from words import WORD


@dag(schedule=None)
def says():
    @task
    def say():
        print("the word is", WORD, {text!r}, __file__)

    say()


says()
"""


@pytest.fixture
def remote(tmp_path: Path, database_url: str) -> Iterator[Remote]:
    with remote_rig(tmp_path, database_url) as remote:
        yield remote


def elsewhere(remote: Remote, folder: Path) -> Path:
    """The runner's own folder of DAG files, in place of the scheduler's."""
    assert remote.local is not None
    folder.mkdir()
    remote.local = msgspec.structs.replace(remote.local, bundles={"dags": str(folder)})
    write_settings(remote.local)
    return folder


@pytest.mark.parametrize("there", [None, "old"])
def test_a_dag_file_that_is_another_one_there_comes_from_the_server_with_the_modules_of_the_place(
    remote: Remote, tmp_path: Path, there: str | None
):
    folder = elsewhere(remote, tmp_path / "there")
    (folder / "words.py").write_text("WORD = 'there'\n")
    if there is not None:
        (folder / "says.py").write_text(SAYS.format(text=there))
    remote.dags.mkdir(exist_ok=True)
    (remote.dags / "words.py").write_text("WORD = 'here'\n")
    text = SAYS.format(text="new")
    remote.write("says", text)
    remote.start_runner()
    run_id = remote.trigger("says")
    assert remote.ended("says", run_id) == "success", remote.runner_says()
    said = f"the word is there new {folder}/says.py"
    wait_for(lambda: remote.has_logged(remote.key_of("say"), said), "the log")
    assert remote.local is not None
    assert Path(remote.local.kept_source(content_hash(text.encode()))).read_text() == text
