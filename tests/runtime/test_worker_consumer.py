"""What a worker's consumer does with messages that it cannot read."""

from unittest.mock import Mock

from airloom.runtime.worker.consumer import TryConsumer


def test_messages_that_nobody_reads_do_not_stand_before_others_for_ever() -> None:
    held: list[float] = []
    hand, message = Mock(hold=lambda seconds, why: held.append(seconds)), Mock()
    consumer = Mock(spec=["hand", "connection_errors"], hand=hand, connection_errors=(), _too_old=0.0, _left_until=0.0)
    for _ in range(7):
        consumer._left_until = 0.0
        TryConsumer._leave_to_others(consumer, message, "a message of version 9")
    assert held == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert message.reject_log_error.call_count == 6
    assert message.ack_log_error.call_count == 1
