"""The first process of a container: it is the parent of everything there whose own parent has ended, and is spared the
signals that it does not handle. So the work is done in a child; this one reaps, passes signals on, and says last words.
"""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from airloom.executors import pod_terms
from airloom.model.errors import AirloomError
from airloom.runtime.process import die_with_parent, signal_name

#: bytes of a termination message that Kubernetes keeps
_LONGEST_WORDS = 4096
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class End(NamedTuple):
    """How work ended: the exit status, and why in words unless all is well."""

    status: int
    words: str = ""


def guard(work: Callable[[], End], last_words: str) -> int:
    """Do the work in a child; the exit status. last_words: the path of the termination message."""
    words, parent, stopped = Path(last_words), os.getpid(), False
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        _be_child(work, words, parent)

    def pass_on(number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True
        with contextlib.suppress(ProcessLookupError):  # it has ended just now
            os.kill(child, number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    code = _wait(child)
    if code < 0 and not (stopped and -code in _SIGNALS):
        end = End(128 - code, f"the process that was to run the try was killed with {signal_name(-code)}")
        _say(end, words)
        return end.status
    return pod_terms.STOPPED if stopped and code else code


def _wait(child: int) -> int:
    """Reap whatever ends, until the child has: its exit status, or what killed it as a negative number."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def _be_child(work: Callable[[], End], words: Path, parent: int) -> None:
    """Returns never."""
    end = End(pod_terms.UNTOLD, "a fault in Airloom")
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        die_with_parent(parent)
        logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", level=logging.INFO)
        end = work()
    except AirloomError as error:
        end = End(pod_terms.UNABLE, str(error))
    except SystemExit as error:
        end = End(pod_terms.UNABLE, str(error.code))
    except BaseException as error:
        logging.exception("a fault in Airloom")
        end = End(pod_terms.UNTOLD, f"a fault in Airloom: {type(error).__name__}: {error}")
    finally:
        _say(end, words)
        os._exit(end.status)


def _say(end: End, words: Path) -> None:
    """Tell whoever looks at the pod, or at its log, which has it already that the try failed."""
    if end.words and end.status != pod_terms.FAILED:
        sys.stderr.write(f"airloom: {end.words}\n")
        sys.stderr.flush()
    # Made by Kubernetes; where there is none nobody looks.
    with contextlib.suppress(OSError), words.open("r+b") as file:
        file.truncate()
        file.write(end.words.encode()[:_LONGEST_WORDS])
