"""What other processes ask of the leader: rows that it takes, applies and answers in one commit."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, select

from airloom.model.events import Answer, Command
from airloom.store.tables import inbox, inbox_answer

#: bytes of commands after which one turn takes no more
TAKEN = 32 * 1024 * 1024

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_answers = msgspec.json.Decoder(Answer)


def put(conn: Connection, command: Command, by: str | None, now: float) -> int:
    """Leave `command` for the leader; `by` is who asks. Returns the number under which its answer will be."""
    row = {"command": _encoder.encode(command), "by": by, "created_at": now}
    return int(conn.execute(insert(inbox).values(row).returning(inbox.c.id)).scalar_one())


def take_query(after: int, limit: int, size: int) -> Select[Any]:
    """The statement by which `take` reads one page: commands up to the one with which they have `size` bytes."""
    length = func.length(inbox.c.command)
    before = (func.sum(length).over(order_by=inbox.c.id) - length).label("before")
    page = select(inbox.c.id, inbox.c.command, before).where(inbox.c.id > after).order_by(inbox.c.id).limit(limit)
    some = page.subquery()
    return select(some.c.id, some.c.command).where(some.c.before < size).order_by(some.c.id)


def take(conn: Connection, limit: int) -> list[tuple[int, Command]]:
    """As `take_some`, without the word whether there is more."""
    return take_some(conn, limit)[0]


def take_some(conn: Connection, limit: int) -> tuple[list[tuple[int, Command]], bool]:
    """The oldest commands, each with its inbox number in it, and whether there may be more. They stay until a plan
    answers them. Reports may be large: about TAKEN bytes are read at most.

    A command that this version of Airloom cannot read, because a newer one wrote it, is left where it is.
    """
    commands: list[tuple[int, Command]] = []
    after = size = 0
    while len(commands) < limit and size < TAKEN:
        wanted = limit - len(commands)
        page = conn.execute(take_query(after, wanted, TAKEN - size)).all()
        for number, data in page:
            after, size = number, size + len(data)
            try:
                command = _decoder.decode(data)
            except msgspec.MsgspecError:
                continue
            commands.append((number, msgspec.structs.replace(command, inbox_id=number)))
        # A page that held something unreadable is not the end.
        if len(page) < wanted and size < TAKEN:
            return commands, False
    return commands, True


def split(conn: Connection, inbox_id: int, parts: Sequence[Command], now: float) -> None:
    """Put several commands in the place of one, unless that is gone."""
    if conn.execute(delete(inbox).where(inbox.c.id == inbox_id)).rowcount:
        conn.execute(insert(inbox), [{"command": _encoder.encode(part), "created_at": now} for part in parts])


def answer(conn: Connection, inbox_id: int) -> Answer | None:
    """The leader's answer, if it is there."""
    data = conn.execute(select(inbox_answer.c.answer).where(inbox_answer.c.id == inbox_id)).scalar()
    return None if data is None else _answers.decode(data)


def forget_answer(conn: Connection, inbox_id: int) -> None:
    """Delete an answer that has been read. One that nobody fetches goes by its age (cleanup.clean)."""
    conn.execute(delete(inbox_answer).where(inbox_answer.c.id == inbox_id))
