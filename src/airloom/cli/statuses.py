"""The exit statuses of `airloom`, which scripts may rely on."""

from enum import IntEnum

from airloom.model.errors import (
    AirloomError,
    Conflict,
    DagDefinitionError,
    InvalidRequest,
    NoAnswer,
    NotFound,
    SettingsError,
    StoreError,
)


class Status(IntEnum):
    """What an exit status means."""

    OK = 0
    FAILED = 1  # the run or task ended as failed, or any error that has no number of its own
    USAGE = 2  # the command line, a value in it or a DAG file makes no sense
    NOT_FOUND = 3  # the dag, run, task, pool, variable or connection does not exist
    CONFLICT = 4  # it collides with what is there
    UNUSABLE = 5  # the settings or the database cannot be used as they are
    NO_ANSWER = 6  # no scheduler answered in time; the request is kept
    DEFECT = 70  # a fault of Airloom's own
    INTERRUPTED = 130  # Ctrl-C


_STATUSES: tuple[tuple[type[AirloomError], Status], ...] = (
    (DagDefinitionError, Status.USAGE),
    (InvalidRequest, Status.USAGE),
    (NotFound, Status.NOT_FOUND),
    (Conflict, Status.CONFLICT),
    (SettingsError, Status.UNUSABLE),
    (StoreError, Status.UNUSABLE),
    (NoAnswer, Status.NO_ANSWER),
)


def status_of(error: AirloomError) -> Status:
    """The exit status that an error ends the command with."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), Status.FAILED)
