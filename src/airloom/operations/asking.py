"""How a verb asks the leading scheduler: a row in the inbox, a hint that it is there, and a wait for the answer.

Once the row is there the command is carried out, whether or not the one who asked is still there to hear of it.
"""

import time
from collections.abc import Sequence
from typing import Any

from airloom.model.errors import AirloomError, Conflict, InvalidRequest, NoAnswer, NotFound
from airloom.model.events import Answer, Command
from airloom.operations.auditing import record_command
from airloom.operations.ops import Ops
from airloom.store import inbox

#: seconds between two looks for the answer: at first as fast as a scheduler can be, later so that it costs nothing
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.002, 0.2, 1.5

_ERRORS: dict[str, type[AirloomError]] = {"not_found": NotFound, "conflict": Conflict, "invalid": InvalidRequest}


def ask(ops: Ops, command: Command) -> Any:
    """Have the leading scheduler do `command`; its answer's value.

    Raises NoAnswer when none came in time: the request stays in the inbox and is applied, once, by the next scheduler
    that leads. Raises NotFound, Conflict or InvalidRequest when the scheduler refused.
    """
    [value] = ask_all(ops, [command])
    if isinstance(value, AirloomError):
        raise value
    return value


def ask_all(ops: Ops, commands: Sequence[Command]) -> list[Any]:
    """Have the leading scheduler do `commands`, all of which it gets at once; the value of each, or the error why it
    was refused. Raises NoAnswer when not all were answered in time: they are applied all the same, as by `ask`.
    """
    with ops.db.transaction() as conn:
        waiting = {inbox.put(conn, command, ops.by, ops.now()): None for command in commands}
        for command in commands:
            record_command(conn, ops, command)
    ids = list(waiting)
    ops.notifier.notify()
    answers: dict[int, Answer] = {}
    give_up = time.monotonic() + ops.answer_timeout
    pause = _FIRST_PAUSE
    while True:
        with ops.db.reading() as conn:
            for inbox_id in list(waiting):
                answer = inbox.answer(conn, inbox_id)
                if answer is None:
                    break
                answers[inbox_id] = answer
                del waiting[inbox_id]
        if not waiting:
            break
        left = give_up - time.monotonic()
        if left <= 0:
            raise NoAnswer(
                f"no scheduler answered within {ops.answer_timeout:g} s. The request is kept and will be applied as "
                "soon as a scheduler runs; `airloom standalone` starts one"
            )
        time.sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
    with ops.db.transaction() as conn:
        for inbox_id in ids:
            inbox.forget_answer(conn, inbox_id)
    return [_value(answers[inbox_id]) for inbox_id in ids]


def _value(answer: Answer) -> Any:
    if answer.error is None:
        return answer.value
    return _ERRORS.get(answer.error, AirloomError)(answer.message or f"the scheduler refused: {answer.error}")
