"""The runner of a machine whose server is elsewhere: `python -m airloom.runtime.remote_runner FILE [WORK]`.

FILE holds its settings (executors.settings), with the server's address and the file of the token. It takes work at
`work_socket`. With WORK, a file with one Submit message, as of a pod, it runs that and ends.
"""

import logging
import sys
from pathlib import Path

from airloom.executors.settings import read_settings
from airloom.model.errors import AirloomError
from airloom.model.wire import Submit, Unframer
from airloom.model.work import Work
from airloom.runtime import fence
from airloom.runtime.http_server import HttpServer
from airloom.runtime.http_transport import HttpTransport
from airloom.runtime.runner import serve


def main() -> None:
    """Run until the work is over."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", level=logging.INFO)
    settings = read_settings(sys.argv[1])
    try:
        watch = fence.Fence(settings.lease, fence.now())
        server = HttpServer(settings.server, settings.token_file, settings.ca_file, watch.contact)
        serve(settings, lambda: HttpTransport(server), _works(sys.argv[2]) if len(sys.argv) > 2 else None, watch)
    except AirloomError as error:
        sys.exit(str(error))


def _works(file: str) -> tuple[Work, ...]:
    unframer: Unframer[Submit] = Unframer(Submit)
    return tuple(work for submit in unframer.feed(Path(file).read_bytes()) for work in submit.works)


if __name__ == "__main__":
    main()
