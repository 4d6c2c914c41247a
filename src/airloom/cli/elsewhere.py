"""Which server elsewhere the command that runs was told to work on; in a file of its own, which loads nothing."""

from contextvars import ContextVar

#: what `--server` names
named_server: ContextVar[str | None] = ContextVar("named_server", default=None)
