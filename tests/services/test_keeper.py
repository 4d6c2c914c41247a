"""The process that keeps the API there: started when it may, again after it died, never alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airloom.model.errors import SettingsError, StoreError
from airloom.sections import ApiSection
from airloom.services.aside import run_aside
from airloom.services.listening import listen_at
from tests.waiting import wait_for, wait_for_end

#: a parent that keeps a child; the child writes its number into a file named by how often it was started
PARENT = """
import os, subprocess, sys, time
from pathlib import Path
from typing import Any
from airloom.runtime.process import die_with_parent
from airloom.services.keeper import Keeper

folder = Path(sys.argv[1])

def serve():
    path = folder / f"child-{len(list(folder.glob('child-*')))}"
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    time.sleep(600)

def again():
    return subprocess.Popen([sys.executable, __file__, str(folder), "child", str(os.getpid())], start_new_session=True)

if sys.argv[2] == "child":
    die_with_parent(int(sys.argv[3]))
    serve()
keeper = Keeper("the test's child", lambda: None, serve, again)
if sys.argv[2] == "go":
    keeper.go()
sys.stdin.read()
keeper.stop()
"""


class Parent:
    """A process with a Keeper."""

    def __init__(self, folder: Path, *, go: bool = True) -> None:
        self._folder = folder
        program = folder / "parent.py"
        program.write_text(PARENT)
        self.process = subprocess.Popen(
            [sys.executable, str(program), str(folder), "go" if go else "wait"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def child(self, number: int = 0) -> int:
        """The process number of the child that was started as number so and so, once it is there."""
        path = self._folder / f"child-{number}"
        wait_for(path.exists, f"child {number}")
        return int(path.read_text())

    def end(self) -> int:
        """Let it stop in order; its status."""
        self.process.communicate(timeout=30)
        return self.process.returncode


def test_a_child_that_died_is_started_again_and_again(tmp_path: Path) -> None:
    parent = Parent(tmp_path)
    first = parent.child()
    os.kill(first, signal.SIGKILL)
    second = parent.child(1)
    os.kill(second, signal.SIGKILL)
    third = parent.child(2)
    assert len({first, second, third}) == 3
    assert parent.end() == 0
    wait_for_end(first, second, third)


@pytest.mark.parametrize("deaths", [0, 1])
def test_the_child_ends_with_a_parent_that_is_killed(tmp_path: Path, deaths: int) -> None:
    parent = Parent(tmp_path)
    if deaths:
        os.kill(parent.child(), signal.SIGKILL)
    child = parent.child(deaths)
    parent.process.kill()
    parent.process.wait(timeout=30)
    wait_for_end(child)


def test_ctrl_c_in_the_terminal_does_not_reach_the_child(tmp_path: Path) -> None:
    parent = Parent(tmp_path)
    assert os.getpgid(parent.child()) != os.getpgid(parent.process.pid)
    assert parent.end() == 0


def test_a_parent_that_fails_before_the_child_may_begin_leaves_nothing(tmp_path: Path) -> None:
    parent = Parent(tmp_path, go=False)
    assert parent.end() == 0
    assert list(tmp_path.glob("child*")) == []


def test_what_is_done_aside_is_done_and_its_error_comes_back(tmp_path: Path) -> None:
    run_aside(lambda: (tmp_path / "made").touch())
    assert (tmp_path / "made").exists()

    def refuse() -> None:
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="the disk is full"):
        run_aside(refuse)
    with pytest.raises(StoreError, match="ended with status -9"):
        run_aside(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_a_port_in_use_is_refused_with_what_to_do() -> None:
    first = listen_at(ApiSection(port=0))
    port = first.public.getsockname()[1]
    try:
        with pytest.raises(SettingsError, match=f"port {port} of 127.0.0.1 is in use .* --port"):
            listen_at(ApiSection(port=port))
        with pytest.raises(SettingsError, match="is no address of this machine"):
            listen_at(ApiSection(host="nowhere.invalid", port=0))
    finally:
        first.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"port": 99999}, "ports go up to 65535"),
        ({"task_port": 70000}, "task_port is 70000"),
        ({"base_url": "flows.example.org"}, "with http:// or https://"),
        ({"tls_certificate": "nowhere.pem"}, "No such file"),
        ({"tls_certificate": __file__, "tls_key": __file__}, "both in PEM"),
        ({"tls_key": "key.pem"}, "give the files of a certificate"),
    ],
)
def test_an_address_or_a_certificate_that_is_of_no_use_is_refused_before_anything_starts(
    wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        listen_at(ApiSection(**{"port": 0, **wrong}))


def test_the_address_is_one_that_a_browser_on_this_machine_can_open() -> None:
    sockets = listen_at(ApiSection(host="0.0.0.0", port=0))
    port = sockets.public.getsockname()[1]
    assert sockets.address(ApiSection(host="0.0.0.0")) == f"http://127.0.0.1:{port}"
    assert sockets.address(ApiSection(base_url="https://flows.example.org/")) == "https://flows.example.org"
    assert sockets.address(ApiSection(host="::1", tls_certificate="c.pem")) == f"https://[::1]:{port}"
    sockets.close()
