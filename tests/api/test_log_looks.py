"""Those who follow logs share one look at the database."""

import asyncio

import pytest

from airloom.api import live
from airloom.api.live import LogLooks
from airloom.model.errors import StoreError
from airloom.model.report import TryKey
from airloom.operations.ops import Ops
from airloom.operations.try_logs import Seen, TryLog

LOGS = [TryLog(key=TryKey(n, 1), dag_id="d", run_id="r", task_id="t", map_index=n) for n in range(3)]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[set[TryKey]]:
    """What was looked at, look by look. A look that has to do with the last log fails."""
    found: list[set[TryKey]] = []

    def look(_: object, logs: list[TryLog]) -> dict[TryKey, Seen]:
        found.append({log.key for log in logs})
        if LOGS[2].key in found[-1]:
            raise StoreError("the disk failed")
        return {log.key: Seen(size=log.map_index, over=False) for log in logs}

    monkeypatch.setattr(live, "look", look)
    return found


def test_all_who_wait_get_the_same_look(ops: Ops, looks: list[set[TryKey]]) -> None:
    async def follow() -> list[Seen | None]:
        mine = LogLooks(ops)
        impatient = asyncio.create_task(mine.at(LOGS[0]))
        await asyncio.sleep(0)
        impatient.cancel()
        return await asyncio.gather(*(mine.at(log) for log in (LOGS[0], LOGS[1], LOGS[0])))

    found = asyncio.run(follow())
    assert [seen and seen.size for seen in found] == [0, 1, 0]
    assert looks == [{LOGS[0].key, LOGS[1].key}]


def test_a_database_that_is_away_ends_what_was_followed_and_the_next_look_is_a_new_one(
    ops: Ops, looks: list[set[TryKey]]
) -> None:
    async def follow() -> list[Seen | None]:
        mine = LogLooks(ops)
        return [await mine.at(LOGS[2]), await mine.at(LOGS[1])]

    assert asyncio.run(follow()) == [None, Seen(size=1, over=False)]
    assert len(looks) == 2
