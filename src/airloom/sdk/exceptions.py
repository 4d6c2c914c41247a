"""What a task raises to say how it ended, and what the SDK raises. The names are Airflow's where it has one."""

from airloom.model.errors import AirloomError


class AirflowException(AirloomError):
    """The parent of the errors that tasks raise; by itself it fails the try, and a retry may follow."""


class AirflowSkipException(AirflowException):
    """The task wants to be skipped."""


class AirflowFailException(AirflowException):
    """The task wants to fail at once, whatever retries are left."""


class AirflowNotFoundException(AirflowException):
    """A variable or connection that was asked for does not exist."""


class AirflowTaskTimeout(AirflowException):
    """The task took longer than it may; the try ends as timed out."""


class AirflowSensorTimeout(AirflowFailException):
    """What the task waited for did not come in time; another try would not help."""


class AirflowConfigException(AirflowException):
    """Something is configured wrongly."""


class AirflowBadRequest(AirflowException):
    """A service refused what it was asked."""


class ParamValidationError(AirflowException):
    """The params of a run break their schema."""


class XComNotFound(AirflowException):
    """An XCom that an argument needs was not pushed."""


class XComEncodeError(AirflowException):
    """A value cannot be kept as an XCom: a part of it is of a type without a JSON form, or it is too large."""
