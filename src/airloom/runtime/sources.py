"""Texts of DAG files that this machine does not have: asked of the server, each once at a time."""

from collections.abc import Callable

from airloom.model.wire import GetSource, Source
from airloom.model.work import Work

#: called with the text, or with None if the server does not give it
Taker = Callable[[bytes | None], None]


class Sources:
    """`send` is called with what the server is to hear; what it does not hear is asked again on a new connection."""

    def __init__(self, send: Callable[[GetSource], None]) -> None:
        self._send = send
        #: hash of the file -> what was asked for it, in whose name, and who wants it
        self._asked: dict[str, tuple[list[GetSource], list[Taker]]] = {}

    def get(self, work: Work, taker: Taker) -> None:
        """Ask for the text of the DAG file that a try was made for."""
        question = GetSource(key=work.key, file_hash=work.file_hash, token=work.token)
        if work.file_hash in self._asked:
            questions, takers = self._asked[work.file_hash]
            questions.append(question)
            takers.append(taker)
            return
        self._asked[work.file_hash] = [question], [taker]
        self._send(question)

    def again(self) -> list[GetSource]:
        """What has not been answered, for a new connection."""
        return [questions[0] for questions, _ in self._asked.values()]

    def heard(self, source: Source) -> None:
        """The server's answer. If it does not give the text to one try, as to one that has ended, the next one asks."""
        questions, takers = self._asked.pop(source.file_hash, ([], []))
        if source.text is None and len(questions) > 1:
            self._asked[source.file_hash] = questions[1:], takers[1:]
            self._send(questions[1])
            takers = takers[:1]
        for taker in takers:
            taker(source.text)
