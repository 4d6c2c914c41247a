"""What becomes of the bundles: what the settings say of each, and what the loader that watches it tells."""

from collections.abc import Mapping

import msgspec

from airloom.bundles.definitions import where
from airloom.model.bundles import Bundle, GitBundle
from airloom.model.processes import LoaderState, ProcessKind
from airloom.operations.ops import Ops
from airloom.store import processes


class BundleUse(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle. version: the commit that the loader has come to. seen_at: when it last looked, or asked the repository.
    trouble: what is wrong with it."""

    name: str
    kind: str
    source: str
    version: str | None = None
    files: int | None = None
    seen_at: float | None = None
    trouble: str = ""


def list_bundles(ops: Ops, configured: Mapping[str, Bundle]) -> list[BundleUse]:
    """The bundles of the settings, by name. Raises StoreError."""
    now = ops.now()
    with ops.db.reading() as conn:
        rows = processes.list_processes(conn, ProcessKind.LOADER)
    told = [msgspec.convert(row.state, LoaderState) for row in rows if row.alive(now)]
    states = {state.bundle: state for state in told if not state.standby}
    return [_use(name, bundle, states.get(name)) for name, bundle in sorted(configured.items())]


def _use(name: str, bundle: Bundle, state: LoaderState | None) -> BundleUse:
    kind = "git" if isinstance(bundle, GitBundle) else "local"
    if state is None:
        return BundleUse(name=name, kind=kind, source=where(bundle), trouble="no loader watches it")
    return BundleUse(
        name=name,
        kind=kind,
        source=where(bundle),
        version=state.version,
        files=state.files,
        seen_at=state.fetched_at if kind == "git" else state.looked_at,
        trouble=state.trouble,
    )
