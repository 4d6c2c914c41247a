"""The ways in which templates write a moment: `{{ ds }}` of the logical date, `{{ data_interval_end | ds }}` of any."""

from collections.abc import Callable
from datetime import datetime

#: name -> how it writes a moment
DATE_TEXTS: dict[str, Callable[[datetime], str]] = {
    "ds": lambda moment: moment.isoformat()[:10],
    "ds_nodash": lambda moment: moment.isoformat()[:10].replace("-", ""),
    "ts": lambda moment: moment.isoformat(),
    "ts_nodash": lambda moment: moment.isoformat()[:19].replace("-", "").replace(":", ""),
    "ts_nodash_with_tz": lambda moment: moment.isoformat().replace("-", "").replace(":", ""),
}
