"""The mutation hook: a function of the user's that changes each pod before it is made. It runs in a process of its own,
so that it cannot harm the scheduler; that process lives as long as the hook behaves."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import IO, Any

import msgspec

from airloom.executors.kubernetes.pods import PodFault
from airloom.model.errors import SettingsError

#: seconds that the hook's module may take to be imported, and that one pod may take
_START, _ONE_POD = 30.0, 10.0
#: what the child runs: no module of ours, so that nothing of ours is imported there
_CHILD = """
import importlib, json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
def answer(said):
    answers.write(json.dumps(said) + "\\n")
    answers.flush()
def fault(error):
    return {"fault": type(error).__name__ + ": " + str(error)}
try:
    module, _, name = sys.argv[1].partition(":")
    hook = getattr(importlib.import_module(module), name)
    if not callable(hook):
        raise TypeError(name + " is no function")
except BaseException as error:
    answer(fault(error))
    sys.exit(0)
answer({})
for line in sys.stdin:
    try:
        pod = json.loads(line)
        changed = hook(pod)
        said = {"pod": pod if changed is None else changed}
        json.dumps(said)
    except Exception as error:
        said = fault(error)
    answer(said)
"""


class MutationHook:
    """Calls the function MODULE:FUNCTION with a pod, as Kubernetes has it; what it returns is the pod, or the pod that
    it was given if it returns nothing. It may be called by several threads, and serves one at a time."""

    def __init__(self, function: str) -> None:
        module, colon, name = function.partition(":")
        if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise SettingsError(
                f"[kubernetes] mutation_hook is {function!r}; expected MODULE:FUNCTION, such as our_pods:mutate"
            )
        self._function = function
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: SimpleQueue[bytes] = SimpleQueue()

    def __call__(self, pod: dict[str, Any]) -> dict[str, Any]:
        """The pod as the hook changes it. Raises PodFault."""
        text = msgspec.json.encode(pod)
        with self._lock:
            said = self._asked(self._living(), text)
        changed: dict[str, Any] = said["pod"]
        return changed

    def close(self) -> None:
        """End its process."""
        with self._lock:
            self._end()

    def _living(self) -> subprocess.Popen[bytes]:
        """Its process, started if there is none. Raises PodFault."""
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end()
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, self._function], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._child, self._answers = child, SimpleQueue()
        assert child.stdout is not None
        reader = (child.stdout, self._answers)
        threading.Thread(target=_read, args=reader, name="airloom-mutation-hook", daemon=True).start()
        try:
            self._answer(_START, "be imported")
        except PodFault:
            self._end()
            raise
        return child

    def _asked(self, child: subprocess.Popen[bytes], pod: bytes) -> Mapping[str, Any]:
        assert child.stdin is not None
        # A child that has died is noticed by its answer that does not come.
        with contextlib.suppress(OSError):
            child.stdin.write(pod + b"\n")
            child.stdin.flush()
        return self._answer(_ONE_POD, "answer")

    def _answer(self, seconds: float, what: str) -> Mapping[str, Any]:
        try:
            line = self._answers.get(timeout=seconds)
        except Empty:
            self._end()
            raise PodFault(f"the mutation hook {self._function} took more than {seconds:.0f} s to {what}") from None
        if not line:
            self._end()
            raise PodFault(f"the process of the mutation hook {self._function} died: see the scheduler's log")
        said: dict[str, Any] = msgspec.json.decode(line)
        if "fault" in said:
            raise PodFault(f"the mutation hook {self._function} failed: {said['fault']}")
        return said

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._child = None


def _read(pipe: IO[bytes], answers: SimpleQueue[bytes]) -> None:
    """Pass on line after line, and an empty one at the end."""
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            answers.put(line)
    answers.put(b"")
