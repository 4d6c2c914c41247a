"""Users, credentials and the audit log in the database: as they were put, and gone when their time has come."""

import pytest

from airloom.model.access import Grant, Role
from airloom.model.errors import Rejected
from airloom.store import accounts, audit, credentials
from airloom.store.accounts import AccountRow
from airloom.store.audit import AuditFilter, AuditRow
from airloom.store.cleanup import expire
from airloom.store.credentials import SESSION, TOKEN, CredentialRow
from airloom.store.database import Database
from airloom.store.idempotency import Key, begin, find
from tests.store.rows import NOW, read, write

DAY = 86400.0
GRANTS = (Grant(pattern="a*", role=Role.EDITOR), Grant(pattern="b", role=Role.VIEWER))
ADA = AccountRow(
    username="ada",
    display_name="Ada",
    email="ada@example.org",
    role=Role.OPERATOR,
    grants=GRANTS,
    password="$argon2id$",
    identity="https://x#42",
    active=False,
    created_at=NOW,
    last_login_at=NOW + 1,
)


def credential(number: int, kind: str = TOKEN, **fields: object) -> CredentialRow:
    return CredentialRow(id=f"c{number}", kind=kind, username="ada", hash=b"\x00\xff", created_at=NOW, **fields)  # type: ignore[arg-type]


def test_a_user_comes_back_as_it_was_put(db: Database) -> None:
    bare = AccountRow(username="bob")
    for row in (ADA, bare):
        write(db, accounts.add_account, row)
        assert read(db, accounts.get_account, row.username) == row
    assert write(db, accounts.account_of_identity, "https://x#42") == ADA
    assert write(db, accounts.account_of_identity, "https://x#43") is None
    assert read(db, accounts.list_accounts) == [ADA, bare]
    assert read(db, accounts.list_accounts, "ada", 1) == [bare]
    assert read(db, accounts.list_accounts, None, 1) == [ADA]


def test_names_and_identities_are_unique_and_no_identity_is_none(db: Database) -> None:
    write(db, accounts.add_account, ADA)
    with pytest.raises(Rejected):
        write(db, accounts.add_account, AccountRow(username="ada"))
    with pytest.raises(Rejected):
        write(db, accounts.add_account, AccountRow(username="other", identity="https://x#42"))
    for name in ("b", "c"):
        write(db, accounts.add_account, AccountRow(username=name))
    assert len(read(db, accounts.list_accounts)) == 3


def test_a_changed_user_has_the_new_grants_alone(db: Database) -> None:
    write(db, accounts.add_account, ADA)
    changed = AccountRow(username="ada", grants=(Grant(pattern="c", role=Role.ADMIN),), role=None, created_at=NOW)
    write(db, accounts.change_account, changed)
    assert read(db, accounts.get_account, "ada") == changed
    assert write(db, accounts.delete_account, "ada")
    assert not write(db, accounts.delete_account, "ada")
    write(db, accounts.add_account, AccountRow(username="ada"))
    assert read(db, accounts.get_account, "ada").grants == ()


def test_administrators_are_those_who_are_active(db: Database) -> None:
    for number, (role, active) in enumerate(
        [(Role.ADMIN, True), (Role.ADMIN, False), (Role.OPERATOR, True), (None, True)]
    ):
        write(db, accounts.add_account, AccountRow(username=str(number), role=role, active=active))
    assert write(db, accounts.lock_administrators) == ["0"]


def test_a_credential_comes_back_as_it_was_put(db: Database) -> None:
    full = credential(1, name="x", role=Role.VIEWER, dags=("a*", 'b"'), expires_at=NOW + 1, used_at=NOW)
    bare = credential(2, SESSION)
    for row in (full, bare):
        write(db, credentials.add_credential, row)
    assert read(db, credentials.get_credential, TOKEN, "c1") == full
    assert read(db, credentials.get_credential, SESSION, "c2") == bare
    assert read(db, credentials.get_credential, TOKEN, "c2") is None
    assert read(db, credentials.list_credentials, TOKEN, "ada") == [full]
    assert read(db, credentials.list_credentials, TOKEN, "bob") == []
    assert not write(db, credentials.delete_credential, SESSION, "c1")
    assert write(db, credentials.delete_credential, TOKEN, "c1")
    assert not write(db, credentials.delete_credential, TOKEN, "c1")


def test_a_users_credentials_go_together_but_for_one(db: Database) -> None:
    for number in range(3):
        write(db, credentials.add_credential, credential(number, SESSION))
    write(db, credentials.add_credential, credential(3, TOKEN))
    assert write(db, credentials.delete_credentials_of, "ada", (SESSION,), "c1") == 2
    assert write(db, credentials.delete_credentials_of, "bob", (SESSION, TOKEN)) == 0
    assert [row.id for row in read(db, credentials.list_credentials, SESSION)] == ["c1"]
    assert [row.id for row in read(db, credentials.list_credentials, TOKEN)] == ["c3"]


def test_what_has_had_its_time_goes_and_all_else_stays(db: Database) -> None:
    for number, expires_at in enumerate((NOW - 8 * DAY, NOW - 6 * DAY, NOW + 1, None)):
        write(db, credentials.add_credential, credential(number, expires_at=expires_at))
    for number in range(5):
        write(db, audit.put, AuditRow(at=NOW - number * DAY, by="ada", via="api", action="test"))
    old, young = Key("ada", "old"), Key("ada", "young")
    # Younger first: each one that comes forgets those that are too old for it.
    write(db, begin, young, b"", NOW - 1.0)
    write(db, begin, old, b"", NOW - DAY - 1.0)
    expire(db, NOW)
    assert [row.id for row in read(db, credentials.list_credentials, TOKEN)] == ["c1", "c2", "c3"]
    assert read(db, find, old) is None
    assert read(db, find, young) is not None
    assert len(read(db, audit.page, AuditFilter(), 10)) == 5
    expire(db, NOW, audit_before=NOW - 2.5 * DAY)
    assert [row.at for row in read(db, audit.page, AuditFilter(), 10)] == [NOW - 2 * DAY, NOW - DAY, NOW]


def test_a_long_audit_log_goes_in_batches(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airloom.store.cleanup.BATCH_AUDIT", 3)
    for number in range(10):
        write(db, audit.put, AuditRow(at=NOW + number, by="ada", via="api", action="test"))
    expire(db, NOW, audit_before=NOW + 8)
    assert len(read(db, audit.page, AuditFilter(), 10)) == 2
