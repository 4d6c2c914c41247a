"""The one kind of Celery task: what a message carries, made by the executor and read by the workers.

The work goes as one text, so that Celery has nothing to convert; what people may see of it in Flower and in logs is
said apart, for the work holds the token of its try.
"""

from base64 import b64decode, b64encode
from typing import Any

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.report import TryKey
from airloom.model.wire import OLDEST_PROTOCOL, PROTOCOL
from airloom.model.work import Work

#: the name of the Celery task
TASK = "airloom.try"
#: the header that says which version of the protocol one must speak at least to read a message: in an upgrade the
#: schedulers come before the workers
PROTOCOL_HEADER = "airloom_protocol"


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


def encode(work: Work) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of the Celery task, and its headers."""
    return [b64encode(msgspec.msgpack.encode(work)).decode()], {PROTOCOL_HEADER: OLDEST_PROTOCOL}


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
        (text,) = arguments
        return msgspec.msgpack.decode(b64decode(text, validate=True), type=Work)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise ForeignMessage(f"a message that cannot be read: {error}") from None
