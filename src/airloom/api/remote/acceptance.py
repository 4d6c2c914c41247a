"""What of a runner's reports is taken as it is, what is put right, and which ends fail their try instead."""

import msgspec

from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, Started

#: characters
_LONGEST_DETAIL, _LONGEST_NAME = 16 * 1024, 250


def acceptable(report: Report, xcom_limit: int, now: float) -> Report:
    """A report as the scheduler takes it: without its token, with a time that has come, with nothing in it that no
    database can hold: each report that cannot be stored would cost the scheduler a turn."""
    at = report.at if 0.0 <= report.at <= now else now
    if isinstance(report, HandedBack):
        return msgspec.structs.replace(report, token="", at=at, detail=_text(report.detail, _LONGEST_DETAIL))
    pid = report.pid if 0 <= report.pid < 2**31 else 0
    runner, host = _text(report.runner, _LONGEST_NAME), _text(report.host, _LONGEST_NAME)
    report = msgspec.structs.replace(report, token="", at=at, runner=runner, host=host, pid=pid)
    if isinstance(report, Started):
        return report
    problem = _problem(report, xcom_limit)
    if problem:
        failed = {"outcome": Outcome.FAILED, "cause": Cause.RESULT, "detail": problem, "xcoms": (), "skip": None}
        numbers = dict.fromkeys(("exit_code", "signal", "map_length"))
        report = msgspec.structs.replace(report, **failed, **numbers)
    started_at = report.started_at
    if started_at is not None and not 0.0 <= started_at <= at:
        started_at = at
    detail = None if report.detail is None else _text(report.detail, _LONGEST_DETAIL)
    return msgspec.structs.replace(report, started_at=started_at, detail=detail)


def _problem(report: Ended, xcom_limit: int) -> str:
    """Why what a try ended with cannot be kept; empty: it can."""
    size = sum(len(xcom.value) for xcom in report.xcoms)
    if size > xcom_limit:
        return f"its XComs have {size:,} bytes, and [xcom] max_size of the server allows {xcom_limit:,}"
    if any(len(xcom.key) > _LONGEST_NAME or "\0" in xcom.key for xcom in report.xcoms):
        return f"a key of an XCom has up to {_LONGEST_NAME} characters, and no NUL"
    if (report.map_length or 0) < 0 or any(
        abs(number or 0) >= 2**31 for number in (report.exit_code, report.signal, report.map_length)
    ):
        return "its runner told numbers that make no sense"
    return ""


def _text(text: str, longest: int) -> str:
    return text[:longest].replace("\0", "\ufffd")
