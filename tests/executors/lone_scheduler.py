"""A scheduler that does nothing but submit: `python -m tests.executors.lone_scheduler`, to be killed by a test.

Reads the settings and the works from stdin as one JSON array; prints a line for each report, and polls only with the
argument "poll", so that otherwise nothing is ever acknowledged.
"""

import sys
import threading

import msgspec

from airloom.executors.local import LocalExecutor, LocalSettings
from airloom.model.work import Work


def main() -> None:
    settings, works = msgspec.json.decode(sys.stdin.readline(), type=tuple[LocalSettings, list[Work]])
    news = threading.Event()
    executor = LocalExecutor(settings, lambda key, request: None, news.set)
    executor.submit(works)
    print("submitted", flush=True)
    while True:
        news.wait()
        news.clear()
        if "poll" in sys.argv:
            for report in executor.poll():
                print(type(report).__name__, report.key.ti_id, flush=True)


if __name__ == "__main__":
    main()
