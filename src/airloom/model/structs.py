"""Looks at every kind of struct before there are threads.

msgspec 0.22 notes at the first use of a kind what its fields are, and two threads that do so at once can crash the
process. Used once, a kind is safe.
"""

import contextlib

import msgspec


def prepare_structs() -> None:
    """Have msgspec note all kinds that are loaded by now; some milliseconds. For the start of a process."""
    kinds = [*msgspec.Struct.__subclasses__()]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        with contextlib.suppress(TypeError):  # one that is never read from outside may hold anything
            msgspec.msgpack.Decoder(kind)
