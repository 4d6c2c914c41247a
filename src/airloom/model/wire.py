"""The messages between a runner and the server it works for, and the framing that carries them over a byte stream.

Sans-IO: bytes in, messages out. A Unix socket carries them on one machine; HTTP carries the same messages from afar.
A frame is a 4-byte big-endian length and a msgpack array [tag, fields...]; an empty one is a sign of life.
"""

import functools
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.report import Report, TryKey
from airloom.model.run import RunType
from airloom.model.work import Cancel, Work

PROTOCOL = 1
#: the oldest version that this one works with: parts of two neighbouring releases work together
OLDEST_PROTOCOL = 1
#: a header of an answer 503: no lease runs out while this is so, for the database is away
HOLDS = "Airloom-Leases-Hold"
MAX_FRAME = 256 * 1024 * 1024
#: bytes of one request, one answer, one work or all XComs of a try: with what is around them they fit into a frame
MAX_PAYLOAD = MAX_FRAME // 2


# --- what a task asks for while it runs -------------------------------------------------------------------------------
class GetXCom(msgspec.Struct, frozen=True, kw_only=True, tag="get_xcom", omit_defaults=True):
    """XComs of a task in the same run (or in `run_id` of `dag_id`). map_index None = all indexes.

    The answer is a list of [map_index, JSON bytes], by map index; TIs without the key are left out.
    """

    task_id: str
    key: str = "return_value"
    map_index: int | None = None
    dag_id: str | None = None
    run_id: str | None = None


class GetVariable(msgspec.Struct, frozen=True, kw_only=True, tag="get_variable"):
    """The text of a variable, or None."""

    key: str


class SetVariable(msgspec.Struct, frozen=True, kw_only=True, tag="set_variable", omit_defaults=True):
    """Set a variable's text; value None deletes it. The answer is True, or False if there was nothing to delete."""

    key: str
    value: str | None
    description: str | None = None


class GetConnection(msgspec.Struct, frozen=True, kw_only=True, tag="get_connection"):
    """The connection's fields as a dict, or None."""

    conn_id: str


class GetPreviousRun(msgspec.Struct, frozen=True, kw_only=True, tag="get_previous_run", omit_defaults=True):
    """The newest run of the same dag before this one by logical date (state None = any), as RunInfo, or None."""

    state: str | None = None
    run_type: RunType | None = None


TaskRequest = GetXCom | GetVariable | SetVariable | GetConnection | GetPreviousRun


# --- runner -> server -------------------------------------------------------------------------------------------------
class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", array_like=True):
    """First message of a connection. `live`: the tries that this runner has in hand, `pending` those whose report
    of the end is still to come over this connection, `owner`: the database whose tries they are. A runner on another
    machine says for which executor it works, at which queues, and how many tries it takes at once (0: any number);
    as whose (worker: a name that no other home may use at the same time; home: an id of its home folder); after how
    many seconds out of touch it has ended its tries (lease); what time it is there (clock); and the oldest version of
    the protocol that it can speak (0: this one only)."""

    protocol: int
    runner: str
    host: str
    pid: int
    version: str
    live: tuple[TryKey, ...] = ()
    pending: tuple[TryKey, ...] = ()
    owner: str = ""
    executor: str = ""
    queues: tuple[str, ...] = ()
    slots: int = 0
    worker: str = ""
    home: str = ""
    lease: float = 0.0
    clock: float = 0.0
    oldest: int = 0


def understood(hello: Hello) -> bool:
    """Whether this release and that of a runner have a version of the protocol in common."""
    return hello.protocol >= OLDEST_PROTOCOL and (hello.oldest or hello.protocol) <= PROTOCOL


class Reports(msgspec.Struct, frozen=True, kw_only=True, tag="reports", array_like=True):
    """Reports, in order. The runner keeps them on disk until an Ack for `seq` or a later one."""

    seq: int
    reports: tuple[Report, ...]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat", array_like=True):
    """The leases of everything in hand are renewed. What is missing twice in a row is lost.

    `tokens`: those of the tries, in the same order, from a runner on another machine. It tells how many tries it takes
    at once by now (0: any number), and bytes of memory that are free there, and that there are (0: not known).
    leaving: it has nothing in hand, and ends as soon as this is answered. trouble: why no work comes to it from there,
    as the end of a sentence that begins with its worker.
    """

    live: tuple[TryKey, ...]
    tokens: tuple[str, ...] = ()
    slots: int = 0
    memory_free: int = 0
    memory: int = 0
    leaving: bool = False
    trouble: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True, tag="claim", array_like=True):
    """The runner wants to run these: asked before any of them is started. A Claimed answers it. `tokens`: theirs, in
    the same order. Asking again is harmless."""

    keys: tuple[TryKey, ...]
    tokens: tuple[str, ...]


class GetSource(msgspec.Struct, frozen=True, kw_only=True, tag="get_source", array_like=True):
    """The text of the DAG file of this try's version, for a machine that has another one. A Source answers it."""

    key: TryKey
    file_hash: str
    token: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask", array_like=True):
    """A task's request. `key` says for which try; only a live try is answered."""

    id: int
    key: TryKey
    request: TaskRequest
    token: str = ""


class LogChunk(msgspec.Struct, frozen=True, kw_only=True, tag="log_chunk", array_like=True):
    """Bytes of a try's log, from `offset` on, from a runner whose disk the server cannot see. A LogAck answers it.
    last: nothing follows, the log ends with them. No data otherwise: a question how far the server's log goes."""

    key: TryKey
    offset: int
    data: bytes
    token: str = ""
    last: bool = False


# --- server -> runner -------------------------------------------------------------------------------------------------
class Submit(msgspec.Struct, frozen=True, kw_only=True, tag="submit", array_like=True):
    """Run these. A key that the runner has already is not started twice."""

    works: tuple[Work, ...]


class CancelTries(msgspec.Struct, frozen=True, kw_only=True, tag="cancel", array_like=True):
    """End these."""

    cancels: tuple[Cancel, ...]


class Ack(msgspec.Struct, frozen=True, kw_only=True, tag="ack", array_like=True):
    """Every Reports message up to `seq` is committed."""

    seq: int


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag="reply", array_like=True):
    """The answer to Ask `id`. `error`: why there is none."""

    id: int
    value: Any = None
    error: str | None = None


class LogAck(msgspec.Struct, frozen=True, kw_only=True, tag="log_ack", array_like=True):
    """The log of a try has come as far as `offset`, from where it is to go on. After a gap that is less than what was
    sent. None: nothing more is taken of it."""

    key: TryKey
    offset: int | None


class Refusal(NamedTuple):
    """A try that the runner must not start, and why."""

    key: TryKey
    reason: str


class Claimed(msgspec.Struct, frozen=True, kw_only=True, tag="claimed", array_like=True):
    """The granted are the runner's: nobody else is given them. The refused it forgets."""

    granted: tuple[TryKey, ...] = ()
    refused: tuple[Refusal, ...] = ()


class Source(msgspec.Struct, frozen=True, kw_only=True, tag="source", array_like=True):
    """The text of a DAG file; None: the server does not have it."""

    file_hash: str
    text: bytes | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True, tag="wanted", array_like=True):
    """What people want of the worker. drain: it takes nothing new. stop: and ends when what it has is over."""

    drain: bool = False
    stop: bool = False


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop", array_like=True):
    """Take no more work. grace > 0: let what runs go on for so many seconds, then end it; report all; exit."""

    grace: float


# --- between a runner on another machine and who hands it work there: a Celery worker --------------------------------
class Slots(msgspec.Struct, frozen=True, kw_only=True, tag="slots", array_like=True):
    """To the runner: so many tries at once are handed to it from now on. trouble: none is now, and why."""

    slots: int
    trouble: str = ""


#: why a runner takes no work that has not had time to
STARTING = "its runner is being started"


class Standing(msgspec.Struct, frozen=True, kw_only=True, tag="standing", array_like=True):
    """From the runner, at first and whenever it changes: whether it can take work now, and if not why (what is wrong
    with the server, the worker is drained). stop: the worker is to end in good order. trouble: why nobody hands it any,
    for who only looks."""

    taking: bool
    why: str = ""
    stop: bool = False
    trouble: str = ""


FromRunner = Hello | Reports | Heartbeat | Claim | GetSource | Ask | LogChunk
ToRunner = Submit | CancelTries | Ack | Reply | LogAck | Claimed | Source | Wanted | Stop
#: what a runner on another machine hears and says at its work socket; it passes on Claimed when it has acted on it
ToIntake = Submit | CancelTries | Slots | Stop
FromIntake = Claimed | Reports | Standing


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """What HTTP answers to a Hello. `session` is part of the address of all that follows; `alive`: seconds between two
    signs of life on its stream; `longest`: bytes that one request may have; now: the server's clock."""

    session: str
    alive: float
    longest: int = MAX_FRAME
    protocol: int = PROTOCOL
    now: float = 0.0


class FrameError(AirloomError):
    """What was sent, or is to be sent, is no frame of this protocol."""


_encoder = msgspec.msgpack.Encoder()


def frame(message: Any, limit: int = MAX_FRAME) -> bytes:
    """One message as bytes to send. Raises FrameError if it has more than `limit` bytes, a number of more than 64 bits,
    or is nested too deep."""
    try:
        body = _encoder.encode(message)
    except (OverflowError, RecursionError) as error:
        raise FrameError(f"a message with a number that is too large, or nested too deep: {error}") from None
    if len(body) > limit:
        raise FrameError(f"a message of {len(body):,} bytes; the limit is {limit:,}")
    return len(body).to_bytes(4, "big") + body


#: a frame without a message
ALIVE = bytes(4)

#: bytes in which the tag of a message is
_LONGEST_HEAD = 40

T = TypeVar("T")


@functools.cache
def decoder_of(kind: Any) -> "msgspec.msgpack.Decoder[Any]":
    """The decoder for a type or union of messages. Making one takes a millisecond, so each is made once."""
    return msgspec.msgpack.Decoder(kind)


@functools.cache
def _tags_of(kind: Any) -> frozenset[str]:
    """The tags of the messages in a type or union."""
    return frozenset(member.__struct_config__.tag for member in get_args(kind) or (kind,))


def _tag(head: bytes) -> str:
    """The tag at the beginning of a message, an array whose first element is a short text; "" for anything else."""
    start = 1 if 0x90 <= head[0] <= 0x9F else 3 if head[0] == 0xDC else len(head)
    if start >= len(head) or not 0xA0 <= head[start] <= 0xBF:
        return ""
    return head[start + 1 : start + 1 + (head[start] & 0x1F)].decode(errors="replace")


class Unframer(Generic[T]):
    """Collects bytes and gives back whole messages of the type it was made for. A message of a kind that is not known
    here, as a newer release may send it, is passed over; its tag is kept in `unknown`."""

    def __init__(self, kind: Any) -> None:
        self._buffer = bytearray()
        self._kind = kind
        self._decoder: msgspec.msgpack.Decoder[T] = decoder_of(kind)
        self.unknown: set[str] = set()

    @property
    def whole(self) -> bool:
        """Whether no message has come in part."""
        return not self._buffer

    def feed(self, data: bytes) -> list[T]:
        """The messages that are complete with `data`. Raises FrameError on anything else than frames."""
        buffer = self._buffer
        buffer += data
        messages: list[T] = []
        start = 0
        while len(buffer) - start >= 4:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if size > MAX_FRAME:
                raise FrameError(f"a frame of {size:,} bytes; the limit is {MAX_FRAME:,}")
            end = start + 4 + size
            if len(buffer) < end:
                break
            if size == 0:  # a sign of life
                start = end
                continue
            body = memoryview(buffer)[start + 4 : end]
            try:
                messages.append(self._decoder.decode(body))
            except msgspec.MsgspecError as error:
                tag = _tag(bytes(body[:_LONGEST_HEAD]))
                if not tag or tag in _tags_of(self._kind):
                    raise FrameError(f"not a message of protocol {PROTOCOL}: {error}") from None
                self.unknown.add(tag)
            finally:
                body.release()
            start = end
        if start:
            del buffer[:start]
        return messages
