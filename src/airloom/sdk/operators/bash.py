"""Tasks that run a shell command."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airloom.sdk.exceptions import AirflowException, AirflowSkipException
from airloom.sdk.operator import BaseOperator
from airloom.sdk.source import definition_error

if TYPE_CHECKING:
    from airloom.sdk.context import Context

#: seconds between asking a command's processes to end and killing them
KILL_AFTER = 5.0


class BashOperator(BaseOperator):
    """Runs `bash_command` in bash. Its output goes to the log; the last line of it is the XCom.

    env: the command's environment; None inherits the task's, `append_env=True` adds to it. cwd: the folder to run in;
    None is a new one that is removed afterwards. skip_on_exit_code: exit codes that skip the task.
    output_processor: makes the XCom of the last line.
    """

    template_fields: Collection[str] = ("bash_command", "env", "cwd")
    template_fields_renderers = {"bash_command": "bash", "env": "json"}
    template_ext: Sequence[str] = (".sh", ".bash")
    ui_color = "#f0ede4"

    def __init__(
        self,
        *,
        bash_command: str,
        env: Mapping[str, str] | None = None,
        append_env: bool = False,
        output_encoding: str = "utf-8",
        skip_on_exit_code: int | Iterable[int] | None = 99,
        cwd: str | None = None,
        output_processor: Callable[[str], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bash_command: Any = bash_command
        self.env: Any = env
        self.append_env = append_env
        self.output_encoding = output_encoding
        self.skip_on_exit_code: Container[int] = _codes(self.own_id, skip_on_exit_code)
        self.cwd: Any = cwd
        self.output_processor = output_processor
        self._process: subprocess.Popen[bytes] | None = None

    def execute(self, context: "Context") -> Any:
        """Run the command; raises AirflowSkipException or AirflowException by its exit code."""
        return self.run_command()

    def run_command(self) -> Any:
        """Run `bash_command` as it is now."""
        if not isinstance(self.bash_command, str) or not self.bash_command.strip():
            raise AirflowException(f"bash_command must be a command, not {self.bash_command!r}")
        bash = shutil.which("bash") or shutil.which("sh")
        if bash is None:
            raise AirflowException("there is no bash on the PATH of this machine")
        if self.cwd is not None:
            if not os.path.isdir(self.cwd):  # noqa: PTH112 - bash takes the text as it is
                raise AirflowException(f"cwd {self.cwd!r} is not a folder on this machine")
            return self._run(bash, self.cwd)
        with tempfile.TemporaryDirectory(prefix="airloom-") as folder:
            return self._run(bash, folder)

    def on_kill(self) -> None:
        """End the command and everything that it started."""
        process = self._process
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(KILL_AFTER)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _run(self, bash: str, folder: str) -> Any:
        # A group of its own within the task's session: on_kill reaches all of it, and so does whoever ends the session.
        self._process = process = subprocess.Popen(
            [bash, "-c", self.bash_command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=self._environment(),
            process_group=0,
        )
        assert process.stdout is not None
        line = ""
        with process.stdout as output:
            for raw in output:
                line = raw.decode(self.output_encoding, errors="backslashreplace").rstrip()
                self.log.info("%s", line)
        code = process.wait()
        self._process = None
        if code in self.skip_on_exit_code:
            raise AirflowSkipException(f"the command exited with {code}, which skips the task")
        if code < 0:
            raise AirflowException(f"the command was ended by {_signal_name(-code)}")
        if code:
            said = f"its last line was: {line[:500]}" if line else "it wrote nothing, or nothing at its end"
            raise AirflowException(f"the command failed with exit code {code}; {said}")
        return self.output_processor(line) if self.output_processor is not None else line

    def _environment(self) -> dict[str, str]:
        if self.env is None:
            return dict(os.environ)
        if self.append_env:
            return {**os.environ, **self.env}
        # Without the task's environment the command still learns which try it belongs to.
        told = {name: value for name, value in os.environ.items() if name.startswith("AIRLOOM_")}
        return {**told, **self.env}


def _codes(task_id: str, value: int | Iterable[int] | None) -> frozenset[int]:
    if value is None:
        return frozenset()
    if isinstance(value, int):
        return frozenset((value,))
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(code, int) for code in value):
        return frozenset(value)
    raise definition_error(f"task {task_id!r}: skip_on_exit_code must be exit codes, not {value!r}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
