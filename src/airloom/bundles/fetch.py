"""The process that gets a commit's folder for a runner, which may not wait: `python -m airloom.bundles.fetch JOB`.

JOB is a FetchJob as JSON; the Fetched that it prints is a line of JSON.
"""

import contextlib
import signal
import sys
import time

import msgspec

from airloom.bundles.git import Repository
from airloom.bundles.git_program import RepositoryError
from airloom.model.bundles import GitBundle


class FetchJob(msgspec.Struct, frozen=True, kw_only=True):
    """The commit of a bundle that is wanted in a home."""

    home: str
    name: str
    bundle: GitBundle
    commit: str


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """The folder of its DAG files, or why there is none."""

    root: str = ""
    error: str = ""


def main() -> None:
    """Do the job, and tidy up afterwards, for which nobody waits. SIGTERM ends it, and git with it."""
    job = msgspec.json.decode(sys.argv[1], type=FetchJob)
    repository = Repository(job.home, job.name, job.bundle)
    signal.signal(signal.SIGTERM, lambda _number, _frame: repository.interrupt())
    try:
        fetched = Fetched(root=repository.check_out(job.commit))
    except RepositoryError as error:
        fetched = Fetched(error=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(fetched) + b"\n")
    sys.stdout.buffer.flush()
    with contextlib.suppress(RepositoryError):
        repository.sweep(time.time(), job.commit)


if __name__ == "__main__":
    main()
