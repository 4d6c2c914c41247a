"""The runner of a machine whose server is elsewhere: `python -m airloom.runtime.remote_runner FILE`.

FILE holds its settings (executors.settings), with the server's address and the file of the token. It takes work at
`work_socket`.
"""

import logging
import sys

from airloom.executors.settings import read_settings
from airloom.model.errors import AirloomError
from airloom.model.structs import prepare_structs
from airloom.runtime import fence
from airloom.runtime.http_server import HttpServer
from airloom.runtime.http_transport import HttpTransport
from airloom.runtime.outpost import Afar
from airloom.runtime.runner import serve


def main() -> None:
    """Run until the work is over."""
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s  %(message)s", level=logging.INFO)
    settings = read_settings(sys.argv[1])
    prepare_structs()
    try:
        watch = fence.Fence(settings.lease, fence.now())
        server = HttpServer(settings.server, settings.token_file, settings.ca_file, watch)
        serve(settings, lambda: HttpTransport(server), Afar(watch))
    except AirloomError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
