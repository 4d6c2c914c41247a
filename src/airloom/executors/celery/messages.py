"""The one kind of Celery task: what a message carries, made by the executor and read by the workers.

The work goes as one text, so that Celery has nothing to convert; what people may see of it in Flower and in logs is
said apart, for the work holds the token of its try.
"""

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.report import TryKey
from airloom.model.wire import OLDEST_PROTOCOL, PROTOCOL, FrameError, frame
from airloom.model.work import Work, content, is_changed

#: the name of the Celery task
TASK = "airloom.try"
#: the header that says which version of the protocol one must speak at least to read a message: in an upgrade the
#: schedulers come before the workers
PROTOCOL_HEADER = "airloom_protocol"
#: bytes of a work that every broker takes as a message, with what is around it
_LARGEST = 64 * 1024 * 1024


class ForeignMessage(AirloomError):
    """A message that no Airloom wrote."""


class OtherVersion(AirloomError):
    """A message of a newer version of the protocol than this one reads."""


def message_id(key: TryKey) -> str:
    """The Celery task id of a try."""
    return f"{key.ti_id}-{key.try_number}"


def title(work: Work) -> str:
    """What the task is called in Flower and in Celery's logs."""
    return f"{work.dag_id}.{work.task_id}" + (f"[{work.map_index}]" if work.map_index >= 0 else "")


def shown_arguments(work: Work) -> str:
    """What stands for the arguments there."""
    return f"(run {work.run.run_id!r}, try {work.key.try_number})"


def work_fault(work: Work) -> str:
    """Why a work can be no message; "" if it can."""
    try:
        frame(work, _LARGEST)
    except FrameError as error:
        return f"the run's conf and what else the try is to be told cannot be sent: {error}"
    return ""


def encode(work: Work) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of the Celery task, and its headers."""
    return [b64encode(content(work)).decode(), work.token], {PROTOCOL_HEADER: OLDEST_PROTOCOL}


def decode(arguments: Any, headers: Any) -> Work:
    """The work of a message. Raises ForeignMessage, OtherVersion."""
    protocol = headers.get(PROTOCOL_HEADER) if isinstance(headers, dict) else None
    if not isinstance(protocol, int):
        raise ForeignMessage("a message that Airloom did not write")
    if protocol > PROTOCOL:
        raise OtherVersion(
            f"a message of version {protocol} of the protocol, this worker reads up to {PROTOCOL}: update this worker"
        )
    try:
        text, token = arguments
        data = b64decode(text, validate=True)
        work = msgspec.structs.replace(msgspec.msgpack.decode(data, type=Work), token=str(token))
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise ForeignMessage(f"a message that cannot be read: {error}") from None
    if is_changed(data, work.token):
        raise ForeignMessage("its work is not what its token was made for: somebody has changed it")
    return work
