"""Users and what proves who they are, on both databases: who wins a race, who always stays, what is stored."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from airloom.model.access import Grant, Role
from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.operations import credentials, login, users
from airloom.operations.ops import Ops
from airloom.operations.passwords import is_outdated, password_fits
from airloom.operations.provider_login import LoginRefused, Person, log_in_by_provider
from airloom.operations.users import UserChange
from airloom.store import accounts
from airloom.store.credentials import LINK, SESSION, TOKEN, list_credentials
from airloom.store.database import Database, connect
from airloom.store.notify import notifier
from airloom.store.secrets import Secrets, new_key
from tests.waiting import wait_for

PASSWORD = "correct horse battery"
IDLE = 3600.0
ADA = Person(identity="https://x#42", username="ada", display_name="Ada", email=None, role=Role.EDITOR, ranks=True)


@pytest.fixture
def ops(db: Database, tmp_path: Path) -> Iterator[Ops]:
    """Ops on each kind of database."""
    hints = notifier(db, tmp_path / "wake")
    yield Ops(db=db, notifier=hints, secrets=lambda: Secrets([new_key()]), env={}, by="chief")
    hints.close()


def add(ops: Ops, username: str, role: Role | None = Role.VIEWER, password: str = PASSWORD) -> None:
    users.add_user(ops, username, UserChange(role=role, password=password))


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """What `count` threads get that begin together; an error is what it raised."""
    start = threading.Barrier(count)
    results: list[object] = [None] * count

    def run(number: int) -> None:
        start.wait(20)
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def ids(ops: Ops, kind: str) -> list[str]:
    with ops.db.reading() as conn:
        return [row.username for row in list_credentials(conn, kind)]


def test_a_link_that_many_use_at_once_lets_one_in(ops: Ops) -> None:
    add(ops, "ada")
    code = users.make_link(ops, "ada").code
    results = at_once(6, lambda _: login.log_in_by_link(ops, code, IDLE))
    assert len([result for result in results if isinstance(result, login.LoggedIn)]) == 1
    assert results.count(None) == 5
    assert (ids(ops, SESSION), ids(ops, LINK)) == (["ada"], [])


def test_of_the_last_administrators_who_go_at_once_one_stays(ops: Ops) -> None:
    names = ("a", "b", "c", "d")
    for name in names:
        add(ops, name, Role.ADMIN)
    ways: tuple[Callable[[str], object], ...] = (
        lambda name: users.change_user(ops, name, UserChange(role=Role.OPERATOR)),
        lambda name: users.change_user(ops, name, UserChange(active=False)),
        lambda name: users.delete_user(ops, name),
        lambda name: users.change_user(ops, name, UserChange(role=None)),
    )
    results = at_once(4, lambda number: ways[number](names[number]))
    assert len([result for result in results if isinstance(result, Conflict)]) == 1
    left = [user for user in users.list_users(ops) if user.role is Role.ADMIN and user.active]
    assert len(left) == 1


def test_the_first_administrator_is_made_once_and_only_in_an_empty_database(ops: Ops) -> None:
    assert at_once(4, lambda _: users.ensure_first_admin(ops)) == [None] * 4
    (admin,) = users.list_users(ops)
    assert (admin.username, admin.role, admin.has_password) == ("admin", Role.ADMIN, False)
    add(ops, "ada", Role.ADMIN)
    users.delete_user(ops, "admin")
    users.ensure_first_admin(ops)
    assert [user.username for user in users.list_users(ops)] == ["ada"]
    assert users.first_link(ops, "http://x/") == "http://x/"


def test_a_link_is_printed_while_no_administrator_has_another_way_in(ops: Ops) -> None:
    for _ in range(2):
        assert users.first_link(ops, "http://x/").startswith("http://x/login#code=")
    assert ids(ops, LINK) == ["admin"]
    add(ops, "ada", Role.OPERATOR)
    assert "#code=" in users.first_link(ops, "http://x/")
    users.change_user(ops, "ada", UserChange(role=Role.ADMIN))
    assert users.first_link(ops, "http://x/") == "http://x/"
    users.change_user(ops, "ada", UserChange(active=False))
    assert "#code=" in users.first_link(ops, "http://x/")
    users.add_user(ops, "bea", UserChange(role=Role.ADMIN))
    users.delete_user(ops, "admin")
    assert "#code=" in users.first_link(ops, "http://x/")
    assert ids(ops, LINK) == ["bea"]


def test_a_first_login_that_comes_twice_at_once_makes_one_user(ops: Ops) -> None:
    results = at_once(4, lambda _: log_in_by_provider(ops, ADA, IDLE))
    assert [type(result).__name__ for result in results] == ["LoggedIn"] * 4
    assert [user.username for user in users.list_users(ops)] == ["ada"]
    assert ids(ops, SESSION) == ["ada"] * 4


def test_two_persons_of_one_name_at_once_are_one_user_and_one_refusal(ops: Ops) -> None:
    other = Person(identity="https://x#43", username="ada", display_name="", email=None, role=Role.ADMIN, ranks=True)
    results = at_once(2, lambda number: log_in_by_provider(ops, (ADA, other)[number], IDLE))
    assert sorted(type(result).__name__ for result in results) == ["LoggedIn", "LoginRefused"]
    refusals = [result.reason for result in results if isinstance(result, LoginRefused)]
    assert refusals == ["name_taken"]


def test_a_login_does_not_undo_what_an_administrator_does_meanwhile(postgres_url: str, tmp_path: Path) -> None:
    with closing(connect(postgres_url)) as db, closing(notifier(db, tmp_path / "wake")) as hints:
        ops = Ops(db=db, notifier=hints, secrets=lambda: Secrets([new_key()]), env={}, by="chief")
        log_in_by_provider(ops, ADA, IDLE)
        renamed = msgspec.structs.replace(ADA, display_name="Ada L.")
        with ThreadPoolExecutor(1) as pool:
            with db.transaction() as conn:
                account = accounts.get_account(conn, "ada", lock=True)
                assert account is not None
                accounts.change_account(conn, msgspec.structs.replace(account, active=False))
                result = pool.submit(log_in_by_provider, ops, renamed, IDLE)
                waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                wait_for(lambda: conn.execute(waits).scalar(), "the login to be held up")
            with pytest.raises(LoginRefused, match="not active"):
                result.result(20)
        assert not users.get_user(ops, "ada").active


def test_one_name_that_is_added_twice_at_once_is_one_user(ops: Ops) -> None:
    results = at_once(3, lambda number: users.add_user(ops, "ada", UserChange(display_name=str(number))))
    assert len([result for result in results if isinstance(result, Conflict)]) == 2
    assert len(users.list_users(ops)) == 1


def test_what_is_not_given_stays(ops: Ops) -> None:
    grants = (Grant(pattern="a*", role=Role.EDITOR), Grant(pattern="b", role=Role.VIEWER))
    first = UserChange(display_name="Ada", email="a@x", role=None, grants=grants, password=PASSWORD)
    made = users.add_user(ops, "ada", first)
    assert users.get_user(ops, "ada") == made
    assert users.change_user(ops, "ada", UserChange()) == made
    changed = users.change_user(ops, "ada", UserChange(email=None, grants=grants[1:]))
    assert users.get_user(ops, "ada") == changed
    assert (changed.email, changed.grants, changed.display_name, changed.password) == (
        None,
        grants[1:],
        "Ada",
        made.password,
    )


def test_an_unknown_user_is_told_with_the_nearest(ops: Ops) -> None:
    add(ops, "adelaide")
    for verb in (users.get_user, users.make_link, users.delete_user):
        with pytest.raises(NotFound, match="no user 'adelaid'; did you mean adelaide"):
            verb(ops, "adelaid")
    with pytest.raises(NotFound, match="no user 'bob'"):
        credentials.make_token(ops, "bob", "x")


def test_what_lets_a_user_in_ends_with_what_it_rests_on(ops: Ops) -> None:
    add(ops, "chief", Role.ADMIN)

    def begin() -> None:
        login.log_in_by_password(ops, "ada", PASSWORD, IDLE)
        credentials.make_token(ops, "ada", "x")
        users.make_link(ops, "ada")

    def left() -> list[int]:
        return [len(ids(ops, kind)) for kind in (SESSION, TOKEN, LINK)]

    add(ops, "ada")
    begin()
    users.change_user(ops, "ada", UserChange(role=Role.EDITOR))
    assert left() == [1, 1, 1]
    users.change_user(ops, "ada", UserChange(password=PASSWORD))
    assert left() == [0, 1, 0]
    begin()
    users.change_user(ops, "ada", UserChange(active=False))
    assert left() == [0, 0, 0]
    with pytest.raises(InvalidRequest, match="not active"):
        users.make_link(ops, "ada")
    with pytest.raises(InvalidRequest, match="not active"):
        credentials.make_token(ops, "ada", "x")
    users.change_user(ops, "ada", UserChange(active=True))
    begin()
    users.delete_user(ops, "ada")
    assert left() == [0, 0, 0]


def test_a_session_is_known_by_its_secret_and_renewed_while_it_is_used(ops: Ops) -> None:
    add(ops, "ada")
    began = ops.now()
    logged_in = login.log_in_by_password(ops, "ada", PASSWORD, IDLE)
    assert logged_in is not None

    def identity_after(seconds: float) -> float | None:
        later = dataclasses.replace(ops, now=lambda: began + seconds)
        identity = login.identify(later, SESSION, logged_in.secret, IDLE)
        return None if identity is None or identity.expires_at is None else round(identity.expires_at - began)

    assert identity_after(30.0) == 3600
    assert identity_after(3000.0) == 6600
    assert identity_after(6000.0) == 9600
    assert identity_after(9700.0) is None
    assert login.identify(ops, TOKEN, logged_in.secret, IDLE) is None
    for wrong in (
        "",
        "_",
        "x_y",
        logged_in.secret[:-1],
        logged_in.secret + "0",
        logged_in.secret.replace("_", ""),
        "é_é",
    ):
        assert login.identify(ops, SESSION, wrong, IDLE) is None


def test_a_password_fits_itself_alone_and_none_fits_where_there_is_none(ops: Ops) -> None:
    add(ops, "ada", password="pässword of 14")
    stored = users.get_user(ops, "ada").password
    assert stored is not None
    assert password_fits(stored, "pässword of 14")
    assert not password_fits(stored, "pässword of 15")
    assert not password_fits(None, "the password of nobody")
    assert not password_fits("damaged", PASSWORD)
    assert not password_fits(stored, "\ud800 half a pair")
    assert not is_outdated(stored)
