"""Every error that Airloom raises on purpose. A message says what is wrong and what to do about it."""


class AirloomError(Exception):
    """The parent of all of Airloom's own errors; its text is fit to be shown to a user."""


class IllegalMove(AirloomError):
    """A state change that the table in states.py does not list: a defect in Airloom, never a user's fault."""


class DagDefinitionError(AirloomError):
    """A DAG file says something that cannot be: a cycle, a duplicate id, a bad argument.

    `filename` and `line` point at the place in the author's file where it can be told.
    """

    def __init__(self, message: str, filename: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.filename = filename
        self.line = line


class SettingsError(AirloomError):
    """A setting has an unknown name or a value that does not fit."""


class StoreError(AirloomError):
    """The metadata database cannot be used as it is: not migrated, newer, foreign, damaged, unreachable."""


class LogsAway(StoreError):
    """A log cannot be read, or moved, where it is: the disk or the object store fails."""


class Rejected(StoreError):
    """The database is well, and refuses what it was given: to give it the same again is of no use."""


class NotLeader(AirloomError):
    """Another scheduler leads: what this one wanted to commit was refused."""


class NotFound(AirloomError):
    """The dag, run, task, pool, variable or connection that was named does not exist."""


class Conflict(AirloomError):
    """What was asked for collides with what is there: a duplicate run id, a lock, a socket in use."""


class InvalidRequest(AirloomError):
    """What was asked for makes no sense: a bad name, a bad value, a conf that breaks the params' schema."""


class NoAnswer(AirloomError):
    """The leading scheduler did not answer in time; the request stays in the inbox and will still be applied."""
