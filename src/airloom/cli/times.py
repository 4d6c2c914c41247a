"""How the command line writes and reads times: inside they are epoch seconds, outside text in a zone."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from airloom.model.errors import InvalidRequest


def zone_of(name: str) -> tzinfo | None:
    """The zone of the setting [cli] timezone; None stands for this machine's own."""
    return None if name == "local" else ZoneInfo(name)


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC, for programs."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def date_time(at: float | None, zone: tzinfo | None) -> str:
    """Date and time to the second, for people."""
    return "" if at is None else datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: float, zone: tzinfo | None) -> str:
    """The time of day, for people."""
    return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S")


def duration(seconds: float | None) -> str:
    """A length of time, as short as it can be said."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s"


def parse_time(text: str, zone: tzinfo | None) -> float:
    """Epoch seconds of an ISO 8601 date or time; one without a zone is in `zone`. Raises InvalidRequest."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is not a time: write it as 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00+01:00"
        ) from None
    if not MINYEAR < moment.year < MAXYEAR:  # in another zone it may be in no year at all
        raise InvalidRequest(f"{text!r} is out of range: give a year from {MINYEAR + 1} to {MAXYEAR - 1}")
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()
