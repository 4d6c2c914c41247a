"""What a message carries, and what is not taken for one."""

from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest

from airloom.executors.celery.messages import PROTOCOL_HEADER, ForeignMessage, OtherVersion, decode, encode
from airloom.model.report import TryKey
from airloom.model.wire import PROTOCOL
from airloom.model.work import RunInfo, Work
from airloom.operations.try_tokens import TryTokens

KEY = TryKey(7, 2)
RUN = RunInfo(run_id="r", run_type="manual", run_after=0.0)
WORK = Work(key=KEY, dag_id="d", task_id="t", run=RUN, run_key=1, bundle="dags", rel_path="d.py", version_id=1)


@pytest.fixture
def sealed() -> Work:
    return TryTokens((b"k" * 32,), "a-database").seal(WORK)


def test_work_comes_out_as_it_went_in(sealed: Work) -> None:
    assert decode(*encode(sealed)) == sealed


def test_the_token_of_sealed_work_proves_its_try_and_no_other(sealed: Work) -> None:
    tokens = TryTokens((b"new" * 16, b"k" * 32), "a-database")
    assert tokens.proves(sealed.token, KEY)
    assert tokens.key_of(sealed.token) == KEY
    assert not tokens.proves(sealed.token, TryKey(7, 1))
    assert not tokens.proves(sealed.token, TryKey(7, 22))
    assert not TryTokens((b"k" * 32,), "another").proves(sealed.token, KEY)


def test_work_that_was_changed_on_its_way_is_refused(sealed: Work) -> None:
    (text, token), headers = encode(sealed)
    work = msgspec.msgpack.decode(b64decode(text), type=Work)
    other = msgspec.msgpack.encode(msgspec.structs.replace(work, rel_path="mine.py"))
    with pytest.raises(ForeignMessage, match="somebody has changed it"):
        decode([b64encode(other).decode(), token], headers)


def test_a_token_cannot_be_made_to_fit_other_work(sealed: Work) -> None:
    tokens = TryTokens((b"k" * 32,), "a-database")
    prefix, ti, number, bound_to, mac = sealed.token.split("_")
    assert not tokens.proves(f"{prefix}_{ti}_{number}_{'0' * len(bound_to)}_{mac}", KEY)
    assert not tokens.proves(f"{prefix}_{ti}_{number}_{mac}", KEY)


@pytest.mark.parametrize("arguments", [[], ["x"], ["%%", "t"], ["wQ==", "t"], {"a": 1}, [1, 2], None])
def test_what_is_no_work_is_a_foreign_message(arguments: Any) -> None:
    with pytest.raises(ForeignMessage):
        decode(arguments, {PROTOCOL_HEADER: PROTOCOL})


def test_a_message_of_a_newer_release_says_who_is_to_be_updated(sealed: Work) -> None:
    with pytest.raises(OtherVersion, match="update this worker"):
        decode(encode(sealed)[0], {PROTOCOL_HEADER: PROTOCOL + 1})
