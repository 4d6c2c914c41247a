"""Shows on the runner's own standard output what a try's log has, as text: what `kubectl logs` shows of a pod."""

import os
import threading

import msgspec

from airloom.model.log_lines import LogLine

_CHUNK = 256 * 1024
#: what the process printed is shown as it was
_PRINTED = ("stdout", "stderr")
_decode = msgspec.json.Decoder(LogLine).decode


class Mirror:
    """Copies one log to `target`, a descriptor. In a thread of its own: whoever reads there may be slow, and neither
    the try nor the runner's signs of life wait for that. The log is the buffer.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._log = -1
        self._rest = b""
        self._written = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def show(self, path: str) -> None:
        """Something was, or is about to be, written to the log at `path`."""
        if self._log < 0:
            try:
                # Here and now: the log goes as soon as the server has all of it.
                self._log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return
        self._written.set()

    def close(self, patience: float) -> None:
        """Show the rest, for so many seconds at most."""
        self._closed = True
        self._written.set()
        self._thread.join(patience)

    def _run(self) -> None:
        while True:
            self._written.wait()
            self._written.clear()
            closed = self._closed
            try:
                self._copy()
            except OSError:
                return  # nobody reads there any more
            if closed:
                return

    def _copy(self) -> None:
        while self._log >= 0 and (data := os.read(self._log, _CHUNK)):
            *lines, self._rest = (self._rest + data).split(b"\n")
            shown = memoryview(b"".join(map(_shown, lines)))
            while shown:
                shown = shown[os.write(self._target, shown) :]


def _shown(data: bytes) -> bytes:
    try:
        line = _decode(data)
    except msgspec.MsgspecError:  # torn by a disk that was full
        return b""
    if line.source in _PRINTED:
        return line.text.encode() + b"\n"
    return f"{line.level} {line.logger or line.source}  {line.text}\n".encode()
