"""Which texts are secret, and that they do not get through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airloom.model.wire import GetConnection, GetVariable, GetXCom, SetVariable
from airloom.runtime.masking import MASK, Masker, secrets_of


def masked(text: str, *secrets: str) -> str:
    masker = Masker()
    masker.add(secrets)
    return masker.mask(text)


def test_every_occurrence_of_a_secret_is_replaced():
    assert masked("a s3cret and s3cret again", "s3cret") == f"a {MASK} and {MASK} again"


def test_the_longer_of_two_secrets_that_begin_alike_is_replaced_whole():
    assert masked("token-longer", "token", "token-longer") == MASK


def test_a_secret_is_found_as_it_looks_in_a_url_and_in_json():
    assert masked("postgres://u:p%40ss%2Fw0rd@h", "p@ss/w0rd") == f"postgres://u:{MASK}@h"
    assert masked(r'{"key": "a\"quoted\"one"}', 'a"quoted"one') == f'{{"key": "{MASK}"}}'


def test_each_line_of_a_secret_of_several_lines_is_replaced():
    assert masked("x\nMIIEpAIB\nQwErTy12\ny", "MIIEpAIB\nQwErTy12\n") == f"x\n{MASK}\n{MASK}\ny"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_text_too_short_to_be_a_secret_is_left(short: str):
    assert masked("abc and a", short) == "abc and a"


@given(st.text(min_size=4).filter(lambda text: "\n" not in text and text == text.strip()), st.text(), st.text())
def test_no_text_lets_a_secret_through(secret: str, before: str, after: str):
    if len(secret.splitlines()) == 1 and MASK not in secret and secret not in MASK:
        assert secret not in masked(before + secret + after, secret).replace(MASK, "\0")


@pytest.mark.parametrize(
    ("request_", "answer", "secrets"),
    [
        (GetVariable(key="db_password"), "hunter22", ["hunter22"]),
        (GetVariable(key="API_KEY"), "k-1234", ["k-1234"]),
        (GetVariable(key="region"), "EWR", []),
        (GetVariable(key="config"), '{"url": "x", "token": "t-1234"}', ["t-1234"]),
        (GetVariable(key="config"), '{"deep": [{"secret": ["one1", "two2"]}]}', ["one1", "two2"]),
        (SetVariable(key="my_token", value="t-1234"), True, ["t-1234"]),
        (
            GetConnection(conn_id="db"),
            {"login": "me", "password": "hunter22", "extra": '{"aws_secret_access_key": "abcd1234", "region": "eu"}'},
            ["hunter22", "abcd1234"],
        ),
        (GetConnection(conn_id="db"), {"password": None, "extra": {"private_key": "pem-1"}}, ["pem-1"]),
        (GetConnection(conn_id="db"), None, []),
        (GetXCom(task_id="password"), [[-1, b"1"]], []),
    ],
)
def test_the_secrets_of_an_answer_are_known_by_their_names(request_: object, answer: object, secrets: list[str]):
    assert list(secrets_of(request_, answer)) == secrets


def test_half_a_secret_at_a_cut_is_not_shown():
    masker = Masker()
    masker.add(["hunter2-and-more"])
    assert masker.mask_head("12345678hunter2-and", 19) == "123"
    assert masker.mask_head("hunter2-and-more 12345678901234567890", 37) == "*** 1234"
    assert masker.mask_head("short hunter2-and-more", 40) == "short ***"
