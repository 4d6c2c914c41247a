"""Ids of traces and spans, worked out from what they are about: whoever knows a try knows its span's id, before a
restart and after it, on the scheduler's machine and on any other.
"""

from hashlib import blake2b

from airloom.model.report import TryKey


def trace_id(database: str, run: int) -> int:
    """128 bits for a run, which is one trace however often it is cleared. database: its id; run: the run's number."""
    return _hash(16, f"run {database} {run}")


def run_span_id(database: str, run: int, started_at: float | None) -> int:
    """64 bits for a run from one start to its end."""
    return _hash(8, f"run {database} {run} {started_at}")


def try_span_id(database: str, key: TryKey) -> int:
    """64 bits for a try."""
    return _hash(8, f"try {database} {key.ti_id} {key.try_number}")


def _hash(size: int, text: str) -> int:
    # 0 is no id.
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest()) or 1
