"""What the loader keeps: DAG files, the dags and versions they define, their source, and what is wrong with them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from airloom.model.loading import LoadError, ParsedFile
from airloom.model.run import DagRow, VersionRow
from airloom.model.spec import DagSpec, encode
from airloom.model.spec_hash import spec_hash
from airloom.store.dialects import dialect_of
from airloom.store.rows import Specs, storable, to_rows, to_structs
from airloom.store.snapshots import DAG_COLUMNS, VERSION_COLUMNS
from airloom.store.tables import dag, dag_code, dag_file, dag_run, dag_version, import_error, task_instance


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file as it was parsed last. `file_hash` is empty when it must be parsed again, whatever it holds."""

    bundle: str
    rel_path: str
    file_hash: str
    mtime: float
    seconds: float
    threads: bool
    modules: tuple[str, ...]
    parsed_at: float
    #: the commit at which it is what was parsed
    bundle_version: str | None = None


class ImportErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a DAG file, or with one dag in it."""

    bundle: str
    rel_path: str
    text: str
    found_at: float
    dag_id: str | None = None
    line: int | None = None
    traceback: str | None = None


def save_file(
    conn: Connection,
    bundle: str,
    parsed: ParsedFile,
    source: str,
    now: float,
    mtime: float = 0.0,
    paused: bool = False,
) -> tuple[str, ...]:
    """Keep what parsing a file gave. Returns the ids of the dags of which anything changed that the scheduler knows:
    new, a new version, other code for the same spec, moved, back, or gone.

    A dag that the file could not define because of an error keeps its last good version. A dag id that another file
    defines already stays that file's, and is an import error of this one. `paused`: whether a new dag is, if it
    does not say so itself.
    """
    changed: list[str] = []
    errors = list(parsed.errors)
    _save_source(conn, parsed.file_hash, source)
    known = _dags_of(conn, bundle, parsed.rel_path)
    for spec in parsed.dags:
        owner = conn.execute(select(dag).where(dag.c.dag_id == spec.dag_id)).one_or_none()
        if owner is not None and owner.active and (owner.bundle, owner.rel_path) != (bundle, parsed.rel_path):
            errors.append(_taken(spec.dag_id, bundle, parsed.rel_path, owner))
        elif _save_dag(conn, spec, owner, _Origin(bundle, parsed), now, paused):
            changed.append(spec.dag_id)
    if all(error.dag_id is not None for error in errors):
        kept = {spec.dag_id for spec in parsed.dags} | {error.dag_id for error in errors}
        changed += _retire(conn, [row.dag_id for row in known if row.active and row.dag_id not in kept])
    _save_errors(conn, bundle, parsed.rel_path, errors, now)
    row = FileRow(
        bundle=bundle,
        rel_path=parsed.rel_path,
        file_hash=parsed.file_hash,
        mtime=mtime,
        seconds=parsed.seconds,
        threads=parsed.threads,
        modules=parsed.modules,
        parsed_at=now,
        bundle_version=parsed.bundle_version,
    )
    dialect_of(conn).insert(conn, dag_file, to_rows([row]), replace=("bundle", "rel_path"))
    return tuple(changed)


def move_on(conn: Connection, bundle: str, rel_paths: Sequence[str], commit: str) -> tuple[str, ...]:
    """These files, and all that they import, are at this commit what they were when they were parsed: new runs of their
    dags begin with it. Returns the ids of the dags."""
    files = (dag_file.c.bundle == bundle, dag_file.c.rel_path.in_(rel_paths))
    conn.execute(update(dag_file).where(*files).values(bundle_version=commit))
    here = (dag.c.bundle == bundle, dag.c.rel_path.in_(rel_paths), dag.c.active)
    rows = conn.execute(select(dag.c.dag_id, dag.c.version_id).where(*here).order_by(dag.c.dag_id)).all()
    versions = [row.version_id for row in rows]
    conn.execute(update(dag_version).where(dag_version.c.id.in_(versions)).values(bundle_version=commit))
    return tuple(row.dag_id for row in rows)


def forget_file(conn: Connection, bundle: str, rel_path: str, now: float) -> tuple[str, ...]:
    """A file is gone: so are its errors and its dags, whose history stays. Returns the ids of those dags."""
    gone = _retire(conn, [row.dag_id for row in _dags_of(conn, bundle, rel_path) if row.active])
    _save_errors(conn, bundle, rel_path, [], now)
    conn.execute(delete(dag_file).where(dag_file.c.bundle == bundle, dag_file.c.rel_path == rel_path))
    return tuple(gone)


def parse_again(conn: Connection, bundle: str, rel_path: str) -> None:
    """Make the loader parse a file at its next look, although it has not changed."""
    where = (dag_file.c.bundle == bundle, dag_file.c.rel_path == rel_path)
    conn.execute(update(dag_file).where(*where).values(file_hash=""))


def hand_over(conn: Connection, dag_ids: Sequence[str]) -> None:
    """These ids are free: files that define one of them too, and had to stand back, get their turn."""
    waiting = select(import_error.c.bundle, import_error.c.rel_path).where(import_error.c.dag_id.in_(dag_ids))
    for bundle, rel_path in conn.execute(waiting).all():
        parse_again(conn, bundle, rel_path)


def _dags_of(conn: Connection, bundle: str, rel_path: str) -> list[Row[Any]]:
    query = select(dag.c.dag_id, dag.c.active).where(dag.c.bundle == bundle, dag.c.rel_path == rel_path)
    return list(conn.execute(query.order_by(dag.c.dag_id)))


def _save_source(conn: Connection, file_hash: str, source: str) -> None:
    if conn.execute(select(dag_code.c.file_hash).where(dag_code.c.file_hash == file_hash)).first() is None:
        row = {"file_hash": file_hash, "source": source.encode("utf-8", "surrogateescape")}
        dialect_of(conn).insert(conn, dag_code, [row], replace=("file_hash",))


def _taken(dag_id: str, bundle: str, rel_path: str, owner: Row[Any]) -> LoadError:
    where = owner.rel_path if owner.bundle == bundle else f"{owner.rel_path} of the bundle {owner.bundle}"
    text = f"the dag id {dag_id!r} is defined by {where} already: give one of the two another id"
    return LoadError(rel_path=rel_path, dag_id=dag_id, text=text)


class _Origin:
    """Where a dag is defined: `columns` of its row and of its version's."""

    def __init__(self, bundle: str, parsed: ParsedFile) -> None:
        self.columns = {"bundle": bundle, "rel_path": parsed.rel_path, "file_hash": parsed.file_hash}
        self.commit = parsed.bundle_version

    def is_elsewhere(self, version: Any) -> bool:
        """Whether a version's runs would not find their file here: those of a commit find it where it was then."""
        pinned = self.commit is not None or version.bundle_version is not None
        return pinned and (version.bundle, version.rel_path) != (self.columns["bundle"], self.columns["rel_path"])


def _save_dag(
    conn: Connection,
    spec: DagSpec,
    old: Row[Any] | None,
    origin: "_Origin",
    now: float,
    paused: bool,
) -> bool:
    """Write a dag, and a version if its spec changed; whether there was anything to write."""
    where = origin.columns
    current = None if old is None else _version_head(conn, old.version_id)
    digest = spec_hash(spec)
    if current is None or current.spec_hash != digest or origin.is_elsewhere(current):
        last = conn.execute(select(func.max(dag_version.c.number)).where(dag_version.c.dag_id == spec.dag_id)).scalar()
        values = {
            "dag_id": spec.dag_id,
            "number": (last or 0) + 1,
            "spec": encode(spec),
            "spec_hash": digest,
            "created_at": now,
            "bundle_version": origin.commit,
            **where,
        }
        version_id = conn.execute(insert(dag_version).values(values).returning(dag_version.c.id)).scalar_one()
    else:
        version_id = current.id
        # Same spec, other code: the version's tries run what the file says now, and its text is the newest one.
        values = {**where, "bundle_version": origin.commit}
        if any(getattr(current, name) != value for name, value in values.items()):
            conn.execute(update(dag_version).where(dag_version.c.id == version_id).values(values))
    if old is None or current is None:
        pause = paused if spec.is_paused_upon_creation is None else spec.is_paused_upon_creation
        row = {"dag_id": spec.dag_id, "version_id": version_id, "paused": pause, "first_seen": now, "active": True}
        conn.execute(insert(dag).values({**row, **where}))
        return True
    before = {name: getattr(old, name) for name in where}
    if old.active and old.version_id == version_id and before == where and current.bundle_version == origin.commit:
        return False
    conn.execute(update(dag).where(dag.c.dag_id == spec.dag_id).values(version_id=version_id, active=True, **where))
    return True


def _version_head(conn: Connection, version_id: int) -> Any:
    names = ("id", "spec_hash", "bundle", "rel_path", "file_hash", "bundle_version")
    return conn.execute(select(*(dag_version.c[name] for name in names)).where(dag_version.c.id == version_id)).one()


def _retire(conn: Connection, dag_ids: list[str]) -> list[str]:
    """Make dags inactive; returns their ids."""
    if dag_ids:
        conn.execute(update(dag).where(dag.c.dag_id.in_(dag_ids)).values(active=False))
        hand_over(conn, dag_ids)
    return dag_ids


def _save_errors(conn: Connection, bundle: str, rel_path: str, errors: Iterable[LoadError], now: float) -> None:
    conn.execute(delete(import_error).where(import_error.c.bundle == bundle, import_error.c.rel_path == rel_path))
    rows = [
        {
            "bundle": bundle,
            "rel_path": rel_path,
            "dag_id": error.dag_id,
            "line": error.line,
            "text": storable(error.text),
            "traceback": None if error.traceback is None else storable(error.traceback),
            "found_at": now,
        }
        for error in errors
    ]
    dialect_of(conn).insert(conn, import_error, rows)


def dag_row(conn: Connection, dag_id: str) -> DagRow | None:
    """A dag with its current spec; None if there never was one of that id, or it was deleted."""
    query = select(*DAG_COLUMNS).join(dag_version, dag_version.c.id == dag.c.version_id).where(dag.c.dag_id == dag_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else Specs().dag(row)


def current(conn: Connection, dag_ids: Sequence[str]) -> list[tuple[DagRow, VersionRow]]:
    """Those of these dags that there are, each with its current version, and with one spec for both."""
    query = select(*DAG_COLUMNS).join(dag_version, dag_version.c.id == dag.c.version_id)
    rows = conn.execute(query.where(dag.c.dag_id.in_(dag_ids))).all()
    specs = Specs()
    found = [specs.dag(row) for row in rows]
    wanted = dag_version.c.id.in_([row.version_id for row in found])
    versions = {row.id: specs.version(row) for row in conn.execute(select(*VERSION_COLUMNS).where(wanted))}
    return [(row, versions[row.version_id]) for row in found]


def list_versions(conn: Connection, dag_id: str) -> list[VersionRow]:
    """The versions of a dag, newest first."""
    query = select(*VERSION_COLUMNS).where(dag_version.c.dag_id == dag_id).order_by(dag_version.c.number.desc())
    specs = Specs()
    return [specs.version(row) for row in conn.execute(query)]


def list_dags(conn: Connection, active_only: bool = True, limit: int | None = None, after: str = "") -> list[DagRow]:
    """Dags by id. `after`: only ids behind that one, for the next page."""
    query = select(*DAG_COLUMNS).join(dag_version, dag_version.c.id == dag.c.version_id)
    query = query.where(dag.c.dag_id > after).order_by(dag.c.dag_id).limit(limit)
    if active_only:
        query = query.where(dag.c.active)
    specs = Specs()
    return [specs.dag(row) for row in conn.execute(query)]


def import_errors(conn: Connection) -> list[ImportErrorRow]:
    """What is wrong with DAG files now, by file and line."""
    columns = [import_error.c[name] for name in ImportErrorRow.__struct_fields__]
    order = (import_error.c.bundle, import_error.c.rel_path, import_error.c.line, import_error.c.id)
    return to_structs(ImportErrorRow, conn.execute(select(*columns).order_by(*order)))


def files(conn: Connection, bundle: str) -> dict[str, FileRow]:
    """The files of a bundle as they were parsed last, by path."""
    rows = to_structs(FileRow, conn.execute(select(dag_file).where(dag_file.c.bundle == bundle)))
    return {row.rel_path: row for row in rows}


def bundles(conn: Connection) -> list[str]:
    """The bundles that have files."""
    return list(conn.execute(select(dag_file.c.bundle).distinct().order_by(dag_file.c.bundle)).scalars())


def source(conn: Connection, file_hash: str) -> str | None:
    """The text of a DAG file that had this hash."""
    data = source_bytes(conn, file_hash)
    return None if data is None else data.decode("utf-8", "replace")


def source_for(conn: Connection, ti_id: int, file_hash: str) -> bytes | None:
    """The text of a DAG file for a TI that needs it; None if there is none, or if it is that of other files only. What
    no file has any more may be what this one's was when the try was handed out."""
    own = (
        select(dag_version.c.bundle, dag_version.c.rel_path)
        .join(dag_run, dag_run.c.version_id == dag_version.c.id)
        .join(task_instance, task_instance.c.run_id == dag_run.c.id)
        .where(task_instance.c.id == ti_id)
    )
    having = (
        select(table.c.bundle, table.c.rel_path).where(table.c.file_hash == file_hash)
        for table in (dag_version, dag_file)
    )
    files = {tuple(row) for query in having for row in conn.execute(query)}
    mine = conn.execute(own).one_or_none()
    if mine is None or (files and tuple(mine) not in files):
        return None
    return source_bytes(conn, file_hash)


def source_bytes(conn: Connection, file_hash: str) -> bytes | None:
    """A DAG file's text as it is in the file."""
    data = conn.execute(select(dag_code.c.source).where(dag_code.c.file_hash == file_hash)).scalar()
    return None if data is None else bytes(data)
