"""The ways in which templates write a moment: `{{ ds }}` of the logical date, `{{ data_interval_end | ds }}` of any."""

from collections.abc import Callable
from datetime import datetime

#: name -> how it writes a moment
DATE_TEXTS: dict[str, Callable[[datetime], str]] = {
    "ds": lambda moment: moment.strftime("%Y-%m-%d"),
    "ds_nodash": lambda moment: moment.strftime("%Y%m%d"),
    "ts": lambda moment: moment.isoformat(),
    "ts_nodash": lambda moment: moment.strftime("%Y%m%dT%H%M%S"),
    "ts_nodash_with_tz": lambda moment: moment.isoformat().replace("-", "").replace(":", ""),
}
