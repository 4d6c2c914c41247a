"""XCom values: what comes back is what was kept, and what cannot be kept is refused with its place."""

import math
import socket
from collections import OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airloom.sdk.exceptions import XComEncodeError
from airloom.sdk.xcom_codec import decode, encode

_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
_HASHABLE = _PLAIN | st.dates() | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3))]))
_RICH = (
    _HASHABLE
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.binary()
    | st.sets(_HASHABLE)
    | st.frozensets(_HASHABLE)
)
_KEYS = st.text(st.characters(codec="utf-8")) | st.just("__airloom__") | st.integers() | st.dates()
_VALUES = st.recursive(_RICH, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=20)


@given(_VALUES)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert decode(encode(value)) == value


@given(_VALUES)
def test_the_encoding_is_json(value: Any) -> None:
    msgspec.json.decode(encode(value))


def test_plain_values_are_plain_json() -> None:
    assert encode({"a": [1, 2.5, None, True, "é"]}) == '{"a":[1,2.5,null,true,"é"]}'.encode()


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ((1, (2,)), [1, [2]]),
        (namedtuple("Point", "x y")(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (deque([1]), [1]),
        (Colour.RED, "red"),
        (numpy.float64(1.5), 1.5),
        (numpy.int64(7), 7),
        (numpy.bool_(True), True),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (Path("/a/b"), Path("/a/b")),
        (2**100, 2**100),
        ({(1, 2): 3}, {(1, 2): 3}),
        ({frozenset({1})}, None),
        (datetime(2026, 1, 1), datetime(2026, 1, 1)),
        (date(2026, 1, 1), date(2026, 1, 1)),
        (time(1, 2), time(1, 2)),
        (Decimal("1.10"), Decimal("1.10")),
        (UUID(int=5), UUID(int=5)),
        (b"\x00\xff", b"\x00\xff"),
    ],
)
def test_other_types_are_kept_as_the_nearest(value: Any, kept: Any) -> None:
    again = decode(encode(value))
    assert again == (value if kept is None else kept)
    assert type(again) is type(value if kept is None else kept)


def test_not_a_number_comes_back() -> None:
    assert math.isnan(decode(encode([float("nan")]))[0])


def test_a_set_is_encoded_the_same_whatever_its_order() -> None:
    assert encode({"b", "a", "c"}) == encode({"c", "b", "a"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "return value is an object, which cannot be kept as an XCom: write it to a file"),
        ([1, {"x": {1j}}], "return value[1]['x']{...} is a complex"),
        ([0, 1, 2, {"x": lambda: 0}], "return value[3]['x'] is a function"),
        ({"a": (n for n in "x")}, "return value['a'] is a generator"),
        (numpy.zeros(3), "return value is a numpy.ndarray"),
        (range(3), "return value is a range"),
        ("\ud800", "not valid Unicode"),
    ],
)
def test_what_has_no_form_is_named_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(XComEncodeError) as caught:
        encode(value)
    assert message in str(caught.value)


def test_a_socket_is_named_with_its_module() -> None:
    with socket.socket() as sock, pytest.raises(XComEncodeError, match=r"return value\[3\]\['x'\] is a socket.socket"):
        encode([0, 1, 2, {"x": sock}])


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(XComEncodeError, match="or contains itself"):
        encode(value)


def test_a_value_over_the_limit_is_refused_with_advice() -> None:
    assert len(encode("x" * 8, max_bytes=10)) == 10
    with pytest.raises(XComEncodeError, match="takes 11 bytes as JSON, and an XCom may have 10: write it to a file or"):
        encode("x" * 9, max_bytes=10)
    with pytest.raises(XComEncodeError, match="16,777,216"):
        encode("x" * 17_000_000)
    assert len(encode("x" * 17_000_000, max_bytes=None)) == 17_000_002
