"""Who we are to an API server: tokens, passwords and certificates, given or in files, and what a program gives."""

import base64
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from airloom.executors.kubernetes.client.errors import Unreachable
from airloom.executors.kubernetes.client.objects import moment

#: seconds after which files are read again: tokens of service accounts live an hour, and are replaced before
_STALE = 60.0
#: seconds that a program may take; after a failure nobody runs it again for so long
_PATIENCE, _AFTER_FAILURE = 30.0, 5.0
#: what a program gave is renewed so many seconds before it ends, or after so much of its life
_MARGIN, _SHARE = 60.0, 0.8
#: seconds before a program is asked again for what the server does not accept
_BETWEEN_REFUSALS = 10.0
_LONGEST_COMPLAINT = 300


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is shown. authorization: the header; certificate, key: PEM."""

    authorization: str = ""
    certificate: bytes = b""
    key: bytes = b""

    def __repr__(self) -> str:
        return "Shown(...)"


class Login:
    """Something that knows what to show; threads may share it. `source` names it for people."""

    source = "no login at all"

    def shown(self) -> Shown:
        """What to show now. Raises Unreachable when there is nothing to be had."""
        return Shown()

    def renew(self, refused: Shown) -> bool:
        """The server does not accept this any more: whether there is something else now. Raises Unreachable."""
        return False


def bearer(token: bytes) -> str:
    """The header that shows a token; empty without one. Raises ValueError, which does not show it."""
    text = token.strip()
    # What HTTP's library would say of others has them in it.
    if any(byte <= 0x20 or byte >= 0x7F for byte in text):
        raise ValueError("it is no token")
    return f"Bearer {text.decode()}" if text else ""


def basic(username: str, password: str) -> str:
    """The header that shows a password."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class StoredLogin(Login):
    """What was given, or lies in files, which may be replaced while we run. Each is bytes, or the file that has it."""

    def __init__(
        self,
        source: str,
        *,
        authorization: str = "",
        token: bytes | Path = b"",
        certificate: bytes | Path = b"",
        key: bytes | Path = b"",
    ) -> None:
        """authorization: a header that is as good as a token. The token counts before it."""
        self.source = source
        self._authorization = authorization
        self._parts = (token, certificate, key)
        self._lock = threading.Lock()
        self._known: Shown | None = None
        self._read_at = 0.0

    def shown(self) -> Shown:
        with self._lock:
            stale = time.monotonic() - self._read_at > _STALE and any(isinstance(part, Path) for part in self._parts)
            if self._known is None or stale:
                self._known = self._read(self._known)
            return self._known

    def renew(self, refused: Shown) -> bool:
        with self._lock:
            if self._known == refused:
                self._known = self._read(self._known)
            return self._known != refused

    def _read(self, known: Shown | None) -> Shown:
        self._read_at = time.monotonic()
        try:
            token, certificate, key = (part.read_bytes() if isinstance(part, Path) else part for part in self._parts)
            return Shown(authorization=bearer(token) or self._authorization, certificate=certificate, key=key)
        except (OSError, ValueError) as error:
            # Files are being replaced, perhaps: what was read before is good until the server says otherwise.
            if known is not None:
                return known
            raise Unreachable(f"{self.source} cannot be read: {error}") from None


class _Credential(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    status: _Credential | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


class PluginLogin(Login):
    """A program that says who we are, as kubectl runs it: `aws eks get-token` and the like.

    command: with its arguments; environment: what it has beside ours; version: the apiVersion that is spoken;
    cluster: what it is told of the cluster, if it wants to know; hint: how to install it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        version: str,
        environment: Mapping[str, str],
        cluster: dict[str, Any] | None = None,
        hint: str = "",
    ) -> None:
        self.source = f"the login program {Path(command[0]).name}"
        self._command = list(command)
        self._version = version
        spec: dict[str, Any] = {"interactive": False}
        if cluster is not None:
            spec["cluster"] = cluster
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
        self._environment = {**environment, "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode()}
        self._hint = hint.strip()
        self._lock = threading.Lock()
        self._known: Shown | None = None
        #: by the clock: when it is renewed, and when it ends
        self._renew_at = self._ends = 0.0
        self._failure = ""
        self._failed_until = self._refused_until = 0.0

    def shown(self) -> Shown:
        with self._lock:
            if self._known is None or time.time() >= self._renew_at:
                try:
                    self._known = self._renewed()
                except Unreachable:
                    if self._known is None or time.time() >= self._ends:
                        raise
            return self._known

    def renew(self, refused: Shown) -> bool:
        with self._lock:
            if self._known == refused and time.monotonic() >= self._refused_until:
                self._refused_until = time.monotonic() + _BETWEEN_REFUSALS
                self._known = self._renewed()
            return self._known != refused

    def _renewed(self) -> Shown:
        if time.monotonic() < self._failed_until:
            raise Unreachable(self._failure)
        try:
            return self._run()
        except Unreachable as error:
            # Threads wait here for one another: not each of them is to wait for a program that hangs.
            self._failure, self._failed_until = str(error), time.monotonic() + _AFTER_FAILURE
            raise

    def _run(self) -> Shown:
        code, out, complaint = self._output()
        if code:
            raise Unreachable(f"{self.source} failed with {code}: {complaint or 'it says nothing'}")
        try:
            answer = _ANSWER.decode(out)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"{self.source} gives no ExecCredential: {error}") from None
        if answer.kind != "ExecCredential" or answer.api_version != self._version:
            raise Unreachable(
                f"{self.source} answers with {answer.kind or 'nothing'} of {answer.api_version or 'no version'}, and "
                f"the kubeconfig asks it for ExecCredential of {self._version}: change its apiVersion, or update it"
            )
        given = answer.status or _Credential()
        if not given.token and not (given.client_certificate_data and given.client_key_data):
            raise Unreachable(f"{self.source} gives neither a token nor a certificate with its key")
        now, ends = time.time(), moment(given.expiration_timestamp)
        self._ends = float("inf") if ends is None else ends
        self._renew_at = max(self._ends - _MARGIN, now + (self._ends - now) * _SHARE)
        try:
            authorization = bearer(given.token.encode())
        except ValueError as error:
            raise Unreachable(f"{self.source} gives a token that cannot be used: {error}") from None
        return Shown(
            authorization=authorization,
            certificate=given.client_certificate_data.encode(),
            key=given.client_key_data.encode(),
        )

    def _output(self) -> tuple[int, bytes, str]:
        """What it ended with, wrote, and complained of in its last line."""
        # Files rather than pipes: a grandchild that lives on would keep a pipe open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
            try:
                process = subprocess.Popen(
                    self._command,
                    env={**os.environ, **self._environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=complaints,
                    start_new_session=True,
                )
            except OSError as error:
                how = f" ({self._hint})" if self._hint else ": install it where the scheduler runs"
                raise Unreachable(f"{self.source} cannot be started: {error.strerror}{how}") from None
            try:
                code = process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise Unreachable(f"{self.source} gave no answer for {_PATIENCE:g} seconds") from None
            out.seek(0)
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            return code, out.read(), lines[-1][:_LONGEST_COMPLAINT] if lines else ""
