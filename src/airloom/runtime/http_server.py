"""What a runner knows of a server that is elsewhere, from one connection to the next: its addresses, whether it is
reached, and what time it is there.
"""

import http.client
import logging
import ssl
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from airloom.model.errors import AirloomError, SettingsError
from airloom.model.report import Ended, Report
from airloom.model.wire import FromRunner, Reports
from airloom.runtime.fence import Fence

log = logging.getLogger("airloom.runner")

#: seconds by which clocks may differ before times in reports are corrected, and before people are told
_SLIGHT, _WORTH_A_WORD = 2.0, 60.0


class Refusal(AirloomError):
    """The server answers, and does not want this."""


class Address:
    """One address of the server. url: http:// or https:// with host, and port and path if needed. Raises
    SettingsError."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            port, secure = parts.port, {"http": False, "https": True}[parts.scheme]
            if not parts.hostname or parts.username is not None:
                raise ValueError
        except (KeyError, ValueError):
            # One with a user may have a password.
            shown = "" if "@" in url else f" {url!r}"
            raise SettingsError(
                f"the server's address{shown} is none of http://HOST:PORT or https://HOST:PORT, with a path if needed"
            ) from None
        self.url = url
        self.host, self.path, self.secure = parts.hostname, parts.path.rstrip("/"), secure
        self.port = port or (443 if secure else 80)


class HttpServer:
    """Where the server is, and what this runner shows to it. Any thread may use it.

    urls: addresses, with commas between them; the next one is taken when one does not answer. token_file: holds the
    token; it is read for each connection. ca_file: the certificates to trust, instead of the system's. watch: is told
    of each contact, and of what is wrong. Raises SettingsError.
    """

    def __init__(self, urls: str, token_file: str, ca_file: str = "", watch: Fence | None = None) -> None:
        self._addresses = [Address(url.strip()) for url in urls.split(",")]
        self._tls: ssl.SSLContext | None = None
        if any(address.secure for address in self._addresses):
            try:
                self._tls = ssl.create_default_context(cafile=ca_file or None)
            except OSError as error:
                raise SettingsError(f"the certificates to trust in {ca_file} cannot be read: {error}") from None
        self._token_file = token_file
        self._watch = watch
        self._troubles: set[str] = set()
        #: for each address that is in trouble, of what kind and in words
        self._wrong: dict[str, tuple[str, str]] = {}
        self._unknown: set[str] = set()
        self._lock = threading.Lock()
        #: its clock, less this process' monotonic one; None: not known
        self._epoch: float | None = None
        self._clock_told = False

    @property
    def address(self) -> Address:
        """The address to use now."""
        return self._addresses[0]

    def token(self) -> str:
        """The token. Raises Refusal when it cannot be read."""
        try:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            raise Refusal(f"the token in {self._token_file} cannot be read: {error}") from None
        if not token.isprintable() or not token or " " in token:
            raise Refusal(f"there is no token in {self._token_file}")
        return token

    def open(self, address: Address, timeout: float) -> http.client.HTTPConnection:
        """A connection, which is made when it is used."""
        if address.secure:
            return http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(address.host, address.port, timeout=timeout)

    # --- whether it is reached ----------------------------------------------------------------------------------------
    def contact(self, sent: float) -> None:
        """What was sent then (Fence.now) has shown that nobody takes the tries of this runner for lost."""
        if self._watch is not None:
            self._watch.contact(sent)

    def unreached(self, address: Address, what: str, reason: str) -> None:
        """Say what is wrong there, once, and take the next address."""
        text = f"the server at {address.url} {what}: {reason}"
        with self._lock:
            news = text not in self._troubles
            self._troubles.add(text)
            # Who is shut out in two ways by turns is not told of a change each time.
            if self._wrong.get(address.url, ("", ""))[0] != what:
                self._wrong[address.url] = what, text
                self._show()
            if address is self._addresses[0]:
                self._addresses.append(self._addresses.pop(0))
        if news:
            log.error("%s", text)

    def refused(self, address: Address, reason: str) -> None:
        """The server there does not want this runner."""
        self.unreached(address, "refuses this runner", reason)

    def reached(self, address: Address) -> None:
        """All is well again."""
        with self._lock:
            news = bool(self._troubles)
            self._troubles.clear()
            self._wrong.clear()
            self._show()
        if news:
            log.warning("the server at %s is reached again", address.url)

    def _show(self) -> None:
        if self._watch is not None:
            self._watch.trouble = "; ".join(text for _, (_, text) in sorted(self._wrong.items()))

    def passed_over(self, tags: set[str]) -> None:
        """Messages of these kinds came, which this release does not know."""
        news = tags - self._unknown
        if news:
            self._unknown |= news
            log.warning("the server is newer and says what this runner does not know: %s", ", ".join(sorted(news)))

    # --- what time it is ----------------------------------------------------------------------------------------------
    def set_clock(self, server: float, asked: float, answered: float) -> None:
        """The server's clock showed `server` between two moments of this process' monotonic one."""
        self._epoch = server - (asked + answered) / 2
        ahead = -self._behind()
        told, self._clock_told = self._clock_told, abs(ahead) > _WORTH_A_WORD
        if self._clock_told and not told:
            text = "this machine's clock is %.0f s %s the server's: times in reports are corrected; set the clock"
            log.warning(text, abs(ahead), "ahead of" if ahead > 0 else "behind")

    def in_its_time(self, message: FromRunner) -> FromRunner:
        """Reports with their times as the server's clock had shown them; anything else as it is."""
        behind = self._behind()
        if not isinstance(message, Reports) or abs(behind) <= _SLIGHT:
            return message
        return Reports(seq=message.seq, reports=tuple(_moved(report, behind) for report in message.reports))

    def _behind(self) -> float:
        """Seconds by which this machine's clock is behind."""
        return 0.0 if self._epoch is None else self._epoch + time.monotonic() - time.time()


def _moved(report: Report, seconds: float) -> Report:
    moved = msgspec.structs.replace(report, at=report.at + seconds)
    if isinstance(moved, Ended) and moved.started_at is not None:
        moved = msgspec.structs.replace(moved, started_at=moved.started_at + seconds)
    return moved
