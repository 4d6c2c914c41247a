"""Carries out one try in the task's process: from Work to a result that says how it ended."""

import logging
from types import TracebackType
from typing import Any

import msgspec

from airloom.model.report import Cause, Outcome, Skip, XComValue
from airloom.model.work import Work
from airloom.sdk.client import TaskClient, set_client
from airloom.sdk.context import Context, running_in
from airloom.sdk.context_of import context_of
from airloom.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    XComEncodeError,
)
from airloom.sdk.mapping import MappedOperator
from airloom.sdk.operator import BaseOperator
from airloom.sdk.rendered import rendered
from airloom.sdk.task_instance import TaskInstance
from airloom.sdk.templating import needs_templates
from airloom.sdk.xcom import RETURN_KEY, LazyXComSequence, XComArg
from airloom.sdk.xcom_codec import MAX_BYTES, encode

__all__ = ["TaskResult", "execute", "needs_templates"]

_PACKAGE = __file__.removesuffix("execution.py")


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a try ended. `xcoms`: those of its return value; what it pushed besides went to `client.push_xcom`."""

    outcome: Outcome
    cause: Cause | None = None
    detail: str | None = None
    xcoms: tuple[XComValue, ...] = ()
    #: the length of the returned list or dict
    map_length: int | None = None
    skip: Skip | None = None


def execute(
    operator: BaseOperator,
    work: Work,
    client: TaskClient,
    log: logging.Logger,
    xcom_limit: int | None = MAX_BYTES,
) -> TaskResult:
    """Run the task; whatever it raises becomes the result, with the traceback in `log`.

    Only KeyboardInterrupt gets through: it is how a try is cancelled. `operator.on_kill()` ends what it started; it
    may be called at any time from a signal handler. The operator is left as it was, so that it can be run again.
    """
    before = set_client(client)
    fields = dict(vars(operator))
    try:
        ti = TaskInstance(operator, work, client, xcom_limit)
        return _result(operator, work, ti, client)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _failure(error, log)
    finally:
        vars(operator).clear()
        vars(operator).update(fields)
        set_client(before)


def _result(operator: BaseOperator, work: Work, ti: TaskInstance, client: TaskClient) -> TaskResult:
    context = context_of(operator, work, ti, client)
    with running_in(context):
        task = operator
        if isinstance(operator, MappedOperator):
            task = operator.concrete(work.map_index, work.map_lengths, context)
            context["task"] = ti.task = task
        task.render_template_fields(context)
        if shown := rendered(task):
            client.show_rendered(shown)
        value = _call(task, context)
        if isinstance(value, LazyXComSequence):
            value = list(value)
        return TaskResult(
            outcome=Outcome.SUCCESS,
            xcoms=_xcoms(operator, task, value, ti.xcom_limit),
            map_length=len(value) if isinstance(value, list | tuple | dict) and task.do_xcom_push else None,
            skip=ti.skip,
        )


def _call(task: BaseOperator, context: Context) -> Any:
    task.pre_execute(context)
    value = task.execute(context)
    task.post_execute(context, value)
    return value


def _xcoms(operator: BaseOperator, task: BaseOperator, value: Any, xcom_limit: int | None) -> tuple[XComValue, ...]:
    if not task.do_xcom_push or (value is None and not _mapped_over(operator)):
        return ()
    found = [XComValue(key=RETURN_KEY, value=encode(value, max_bytes=xcom_limit))]
    if task.multiple_outputs and value is not None:
        if not isinstance(value, dict):
            raise XComEncodeError(
                f"the task has multiple outputs, so it must return a dict, not {type(value).__name__}; "
                "set multiple_outputs=False, or correct the return annotation that it follows from"
            )
        for key, item in value.items():
            if not isinstance(key, str):
                raise XComEncodeError(f"the task has multiple outputs, whose keys must be strings, but one is {key!r}")
            found.append(XComValue(key=key, value=encode(item, f"return value[{key!r}]", xcom_limit)))
    return tuple(found)


def _mapped_over(operator: BaseOperator) -> bool:
    """Whether this is a mapped task that another is mapped over: then each index needs an item, even if it is None."""
    if not isinstance(operator, MappedOperator) or operator.dag is None:
        return False
    return any(
        isinstance(value, XComArg) and value.operator is operator
        for other in operator.dag.tasks
        if isinstance(other, MappedOperator)
        for value in other.expand_input.inputs.values()
    )


def _failure(error: BaseException, log: logging.Logger) -> TaskResult:
    detail = _describe(error)
    if isinstance(error, AirflowSkipException):
        log.info("Skipped: %s", error)
        return TaskResult(outcome=Outcome.SKIPPED, detail=str(error) or None)
    trace = _authors_part(error.__traceback__)
    if trace is None and isinstance(error, AirflowException):
        log.error("%s", detail)
    else:
        log.error("%s", detail, exc_info=(type(error), error, trace or error.__traceback__))
    return TaskResult(outcome=Outcome.FAILED, cause=_cause(error), detail=detail)


def _cause(error: BaseException) -> Cause:
    if isinstance(error, AirflowFailException):
        return Cause.FAIL
    if isinstance(error, AirflowTaskTimeout):
        return Cause.TIMEOUT
    if isinstance(error, XComEncodeError):
        return Cause.RESULT
    if isinstance(error, SystemExit):
        return Cause.EXIT
    if isinstance(error, MemoryError):
        return Cause.OOM
    return Cause.ERROR


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the task called sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, XComEncodeError):
        return str(error)
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be made)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _authors_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the author's first line on; None if no line of theirs is in it."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace
