"""Flower, Celery's monitor, on the application that the executor and the workers use."""

import ipaddress
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from flower import command
from flower.app import Flower
from flower.urls import settings as tornado_settings
from tornado.options import options

from airloom.executors.celery.app import make_app
from airloom.executors.celery.settings import CelerySettings
from airloom.model.errors import SettingsError

#: names a file with user:password, as container platforms give secrets
_PASSWORD_FILE = "FLOWER_BASIC_AUTH_FILE"


def run_flower(broker: CelerySettings, address: str, port: int, arguments: Sequence[str]) -> None:
    """Serve until interrupted. `arguments`: further options of Flower's; FLOWER_ variables may give them, too. Raises
    SettingsError, OSError."""
    app = make_app(broker)
    app.conf.broker_transport = None  # it takes the kind of broker from the connection's address, which has none then
    command.apply_env_options()
    if file := os.environ.get(_PASSWORD_FILE):
        options.basic_auth = [_password(file)]
    # What it could order, Airloom's workers refuse.
    options.address, options.port, options.read_only = address, port, True
    unknown = [argument for argument in arguments if not command.is_flower_option(argument)]
    if unknown:
        raise SettingsError(f"Flower knows no option {' '.join(unknown)}; they are written as --url_prefix=flower")
    command.apply_options("airloom flower", [*arguments])
    if not _is_this_machine(options.address) and not options.basic_auth and not options.auth:
        raise SettingsError(
            f"at {options.address} Flower would be open to everybody: give it a password, FLOWER_BASIC_AUTH="
            f"user:password, or in a file that {_PASSWORD_FILE} names"
        )
    command.extract_settings()
    command.setup_logging()
    # It would tell of each worker that does not show its settings.
    logging.getLogger("flower.inspector").setLevel(logging.ERROR)
    flower = Flower(capp=app, options=options, **tornado_settings)
    flower.start_http_server()
    try:
        flower.start()
    except KeyboardInterrupt:
        pass
    finally:
        flower.stop()


def _is_this_machine(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _password(file: str) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{_PASSWORD_FILE}: {file} cannot be read: {error}") from None
