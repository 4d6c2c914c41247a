"""The task's end of the channel to the runner: what it sends always fits a message."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from airloom.model.errors import AirloomError
from airloom.model.wire import SetVariable
from airloom.runtime import task
from airloom.runtime.channel import Channel
from airloom.runtime.messages import LONGEST_RECORD, FromTask, Record
from airloom.runtime.task import Conversation, RecordHandler


@pytest.fixture
def ends() -> Iterator[tuple[Conversation, Channel[FromTask]]]:
    ours, theirs = socket.socketpair()
    channel: Channel[FromTask] = Channel(theirs, FromTask)
    conversation = Conversation()
    conversation.open(ours)
    yield conversation, channel
    ours.close()
    channel.close()


def test_a_log_record_is_cut_before_it_is_sent(ends: tuple[Conversation, Channel[FromTask]]):
    conversation, channel = ends
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "y" * 3_000_000, None, None)
    emitting = threading.Thread(target=RecordHandler(conversation).emit, args=(record,))
    emitting.start()
    messages: list[FromTask] = []
    while not messages:
        messages = channel.receive()
    emitting.join()
    assert isinstance(messages[0], Record)
    assert len(messages[0].text) == LONGEST_RECORD


def test_a_request_that_is_too_large_is_an_error_in_the_task(
    ends: tuple[Conversation, Channel[FromTask]], monkeypatch: pytest.MonkeyPatch
):
    conversation, _channel = ends
    monkeypatch.setattr(task, "MAX_PAYLOAD", 1000)
    with pytest.raises(AirloomError, match="the limit is 1,000"):
        conversation.ask(SetVariable(key="k", value="x" * 2000))
