"""Runs a function in a process of its own, so that what it loads goes when it is done."""

import os
from collections.abc import Callable

from airloom.model.errors import AirloomError, StoreError


def run_aside(act: Callable[[], None]) -> None:
    """Call `act` in a fork of this process, and wait for it. To be used while there is one thread.

    Raises StoreError with the text of the AirloomError that `act` raised.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        status = 1
        try:
            act()
            status = 0
        except AirloomError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 0:
        raise StoreError(text or f"a process of Airloom ended with status {status} before its work was done")
