"""The list of bundles: what the settings have, and what the loader on duty tells of each."""

import msgspec
import pytest

from airloom.model.bundles import GitBundle, LocalBundle
from airloom.model.processes import SILENCE, LoaderState, ProcessKind, ProcessRow
from airloom.operations.bundles import BundleUse, list_bundles
from airloom.operations.health import DEGRADED, OK, judge, read
from airloom.operations.ops import Ops
from airloom.store import processes

BUNDLES = {
    "flows": GitBundle(url="https://bot@git.example/f.git", token_file="/token"),
    "dags": LocalBundle(path="/srv/dags"),
}
COMMIT = "c" * 40


def tell(ops: Ops, host: str, state: LoaderState, *, silent: float = 0.0) -> None:
    """A loader's row."""
    now = ops.now()
    row = ProcessRow(
        id=f"loader:{host}:1:{state.bundle}",
        kind=ProcessKind.LOADER,
        host=host,
        pid=1,
        version="1",
        started_at=now,
        seen_at=now - silent,
        state=msgspec.to_builtins(state),
    )
    with ops.db.transaction() as conn:
        processes.renew(conn, [row])


def test_each_bundle_is_shown_as_the_loader_on_duty_has_it(ops: Ops) -> None:
    tell(ops, "a", LoaderState(bundle="flows", kind="git", standby=True, trouble="it was away"))
    known = LoaderState(bundle="flows", kind="git", version=COMMIT, files=3, fetched_at=5.0, looked_at=9.0)
    tell(ops, "b", known)
    tell(ops, "b", LoaderState(bundle="dags", kind="local", files=2, looked_at=9.0, trouble="the folder is away"))
    tell(ops, "b", LoaderState(bundle="removed", kind="local"))
    dags, flows = list_bundles(ops, BUNDLES)
    assert flows == BundleUse(
        name="flows", kind="git", source="https://***@git.example/f.git", version=COMMIT, files=3, seen_at=5.0
    )
    assert dags == BundleUse(
        name="dags", kind="local", source="/srv/dags", files=2, seen_at=9.0, trouble="the folder is away"
    )


@pytest.mark.parametrize("standby", [True, False])
def test_a_bundle_that_only_a_spare_or_a_dead_loader_knows_is_watched_by_none(ops: Ops, standby: bool) -> None:
    state = LoaderState(bundle="flows", kind="git", standby=standby)
    tell(ops, "a", state, silent=0.0 if standby else SILENCE + 1)
    assert [use.trouble for use in list_bundles(ops, BUNDLES)] == ["no loader watches it"] * 2


def test_the_health_of_a_loader_is_that_of_its_bundle_and_a_spare_is_well(ops: Ops) -> None:
    tell(ops, "a", LoaderState(bundle="dags", standby=True))
    tell(ops, "b", LoaderState(bundle="dags", files=2))
    tell(ops, "c", LoaderState(bundle="flows", files=2, trouble="https://git.example/f.git: away"))
    parts = [part for part in judge(read(ops), ops.now()).parts if part.kind == "loader"]
    assert [(part.status, part.text) for part in parts] == [
        (OK, "it stands by"),
        (OK, "it watches 2 files of the bundle dags"),
        (DEGRADED, "https://git.example/f.git: away"),
    ]
