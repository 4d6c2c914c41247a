"""Redis as workers use it: what becomes of messages that are under way."""

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection

from tests.brokers import RedisServer

QUEUE = "letters"


@pytest.fixture
def channel(redis_server: RedisServer) -> Iterator[Any]:
    with Connection(redis_server.fresh(), transport="airloom.executors.celery.redis_queues:Transport") as connection:
        channel = connection.channel()
        channel.queue_declare(QUEUE)
        for letter in "ab":
            channel.basic_publish(channel.prepare_message(letter), exchange="", routing_key=QUEUE)
        yield channel


def letter(channel: Any) -> str | None:
    message = channel.basic_get(QUEUE)
    return None if message is None else str(message.body.decode())


def test_nothing_is_written_about_a_message_that_is_under_way(channel: Any) -> None:
    assert letter(channel) == "a"
    with channel.conn_or_acquire() as client:
        assert client.keys("unacked*") == []


def test_what_is_given_back_comes_next(channel: Any) -> None:
    message = channel.basic_get(QUEUE)
    message.reject(requeue=True)
    assert [letter(channel), letter(channel), letter(channel)] == ["a", "b", None]


def test_at_the_end_of_a_connection_what_was_not_answered_is_given_back_in_its_order(channel: Any) -> None:
    assert [letter(channel), letter(channel)] == ["a", "b"]
    channel.qos.restore_unacked()
    assert [letter(channel), letter(channel)] == ["a", "b"]


def test_what_was_not_answered_is_forgotten_where_the_connection_is_gone_already(channel: Any) -> None:
    assert letter(channel) == "a"
    transport = channel.connection
    client, transport.client = transport.client, None
    try:
        assert channel.qos.restore_unacked() == []
    finally:
        transport.client = client
    assert letter(channel) == "b"
