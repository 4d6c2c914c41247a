"""What other processes ask of the leader: rows that it takes, applies and answers in one commit."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, insert, select

from airloom.model.events import Answer, Command
from airloom.store.tables import inbox, inbox_answer

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_answers = msgspec.json.Decoder(Answer)


def put(conn: Connection, command: Command, by: str | None, now: float) -> int:
    """Leave `command` for the leader; `by` is who asks. Returns the number under which its answer will be."""
    row = {"command": _encoder.encode(command), "by": by, "created_at": now}
    return int(conn.execute(insert(inbox).values(row).returning(inbox.c.id)).scalar_one())


def take_query(after: int, limit: int) -> Select[Any]:
    """The statement of `take`, for one page."""
    return select(inbox.c.id, inbox.c.command).where(inbox.c.id > after).order_by(inbox.c.id).limit(limit)


def take(conn: Connection, limit: int) -> list[tuple[int, Command]]:
    """The oldest commands, each with its inbox number in it. They stay until a plan answers them.

    A command that this version of Airloom cannot read, because a newer one wrote it, is left where it is.
    """
    commands: list[tuple[int, Command]] = []
    last = 0
    while len(commands) < limit:
        page = conn.execute(take_query(last, limit)).all()
        for number, data in page:
            last = number
            try:
                command = _decoder.decode(data)
            except msgspec.MsgspecError:
                continue
            commands.append((number, msgspec.structs.replace(command, inbox_id=number)))
        # A page that held something unreadable is not the end.
        if len(page) < limit:
            break
    return commands[:limit]


def answer(conn: Connection, inbox_id: int) -> Answer | None:
    """The leader's answer, if it is there."""
    data = conn.execute(select(inbox_answer.c.answer).where(inbox_answer.c.id == inbox_id)).scalar()
    return None if data is None else _answers.decode(data)


def forget_answer(conn: Connection, inbox_id: int) -> None:
    """Delete an answer that has been read. One that nobody fetches goes by its age (cleanup.clean)."""
    conn.execute(delete(inbox_answer).where(inbox_answer.c.id == inbox_id))
