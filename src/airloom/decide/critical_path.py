"""The chain of task instances that a run's length is due to."""

from collections.abc import Mapping, Sequence

#: (task, map index, start, end); times in seconds since the epoch
Span = tuple[str, int, float | None, float | None]


def critical_path(upstream: Mapping[str, Sequence[str]], spans: Sequence[Span]) -> list[tuple[str, int]]:
    """From the instance that ended last back through the one that each waited for: of all upstream instances the one
    that ended last. First to last. upstream: task -> the tasks that it waits for."""
    last: dict[str, Span] = {}
    for span in spans:
        if span[3] is not None and (span[0] not in last or span[3] > (last[span[0]][3] or 0.0)):
            last[span[0]] = span
    at = max(last.values(), key=lambda span: span[3] or 0.0, default=None)
    path: list[tuple[str, int]] = []
    while at is not None:
        path.append((at[0], at[1]))
        before = [last[task] for task in upstream.get(at[0], ()) if task in last]
        at = max(before, key=lambda span: span[3] or 0.0, default=None)
    return path[::-1]
