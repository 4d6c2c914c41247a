"""Every setting of Airloom: its type, its default, what it means, and where its value came from.

Sources, later ones win: defaults, `airloom.toml`, environment variables `AIRLOOM__SECTION__KEY`. The home folder is
AIRLOOM_HOME.
"""

import difflib
import math
import re
import tomllib
import types
import typing
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from airloom.executors.settings import default_parallelism
from airloom.model.errors import SettingsError

PREFIX = "AIRLOOM__"
FILE_NAME = "airloom.toml"
DEFAULT = "default"

#: executor name -> our name; Airflow's names are accepted
EXECUTORS = {
    "sequential": "sequential",
    "local": "local",
    "SequentialExecutor": "sequential",
    "LocalExecutor": "local",
}
_EXECUTORS_TO_COME = {"celery", "kubernetes", "CeleryExecutor", "KubernetesExecutor"}

_SECONDS = {"unit": "seconds"}
_BYTES = {"unit": "bytes"}
_TIMEZONE = {"unit": "timezone"}
_TIMEZONE_OR_LOCAL = {"unit": "timezone or local"}
_EXECUTOR = {"unit": "executor"}
_SECRET = {"secret": True}
_READ_ONLY = {"read_only": True}
_LIST = {"unit": "list"}


def _doc(text: str, extra: dict[str, Any] | None = None, *, ge: float | None = None, gt: float | None = None) -> Meta:
    if gt is not None:
        return Meta(description=text, extra=extra, gt=gt)
    return Meta(description=text, extra=extra, ge=ge)


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """What everything shares."""

    home: Annotated[Path, _doc("The folder of everything Airloom keeps; set by AIRLOOM_HOME.", _READ_ONLY)]
    dags_folder: Annotated[Path, _doc("The folder of DAG files; default: dags in the home folder.")]
    executors: Annotated[tuple[str, ...], _doc("Executors, the first is the default.", _EXECUTOR)] = ("local",)
    parallelism: Annotated[int, _doc("How many tasks run at once over all executors; 0 = no limit.", ge=0)] = 0
    dags_are_paused_at_creation: Annotated[bool, _doc("Whether a new DAG waits to be unpaused.")] = True
    infrastructure_retries: Annotated[
        int, _doc("Tries lost through no fault of the task's that cost it none of its retries.", ge=0)
    ] = 3
    max_map_length: Annotated[int, _doc("Instances that one mapped task may have.", ge=1)] = 100_000
    secret_key: Annotated[
        str,
        _doc("Key of variables and connections; default: in secret.key. Old keys may follow, after commas.", _SECRET),
    ] = ""


class DatabaseSection(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata database."""

    url: Annotated[str, _doc("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; default: airloom.db at home.")]


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The local executor."""

    parallelism: Annotated[int, _doc("Tasks at once on this machine; 0 = no limit; default: cores - 1.", ge=0)]
    isolation: Annotated[
        Literal["fork", "reuse"], _doc("fork: a process for each try; reuse: one process runs many tries.")
    ] = "fork"
    memory_limit: Annotated[int, _doc("Memory at which a try is killed; 0 = no limit.", _BYTES, ge=0)] = 0
    grace: Annotated[float, _doc("Time between asking a task to stop and killing it.", _SECONDS, ge=0)] = 5.0


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that supervises tries."""

    zygote_limit: Annotated[int, _doc("DAG file versions kept imported to fork tasks from.", ge=1)] = 8
    orphan_timeout: Annotated[
        float, _doc("How long a runner with nothing to run waits for its scheduler to come back.", _SECONDS, ge=0)
    ] = 600.0
    import_timeout: Annotated[float, _doc("Time that importing a DAG file for a task may take.", _SECONDS, gt=0)] = 30.0
    log_max_bytes: Annotated[int, _doc("Size at which the log of one try is cut off.", _BYTES, ge=0)] = 100 * 2**20
    heartbeat: Annotated[float, _doc("Time between two renewals of a runner's leases.", _SECONDS, gt=0)] = 5.0


class Loader(msgspec.Struct, frozen=True, kw_only=True):
    """What watches the DAG files."""

    interval: Annotated[
        float, _doc("Time between two looks at the whole folder, beside the file events.", _SECONDS, gt=0)
    ] = 30.0
    refresh: Annotated[
        float, _doc("Time after which an unchanged file is parsed again; 0 = never.", _SECONDS, ge=0)
    ] = 300.0
    parse_timeout: Annotated[float, _doc("Time that one DAG file may take to be parsed.", _SECONDS, gt=0)] = 30.0
    processes: Annotated[int, _doc("DAG files parsed at once.", ge=1)] = 2


class Scheduler(msgspec.Struct, frozen=True, kw_only=True):
    """The scheduler."""

    lease: Annotated[float, _doc("How long a silent leader keeps its place.", _SECONDS, gt=0)] = 5.0
    answer_timeout: Annotated[float, _doc("How long a command waits for an answer.", _SECONDS, gt=0)] = 10.0


class XComSection(msgspec.Struct, frozen=True, kw_only=True):
    """Values that tasks pass on."""

    max_size: Annotated[int, _doc("What the XComs of one try may take in all, as JSON.", _BYTES, ge=1)] = 64 * 2**20


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Logs of tasks."""

    retention: Annotated[int, _doc("Days that task logs are kept; 0 = for ever.", ge=0)] = 0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long history is kept."""

    days: Annotated[int, _doc("Days that finished runs are kept; 0 = for ever.", ge=0)] = 0
    audit: Annotated[int, _doc("Days that the audit log is kept; 0 = for ever.", ge=0)] = 0
    every: Annotated[float, _doc("Time between two clean-ups.", _SECONDS, gt=0)] = 3600.0


class ApiSection(msgspec.Struct, frozen=True, kw_only=True):
    """The API and the web UI."""

    host: Annotated[str, _doc("Address to listen at; 0.0.0.0 = every network of this machine.")] = "127.0.0.1"
    port: Annotated[int, _doc("Port to listen at; 0 = any free one.", ge=0)] = 8080
    task_port: Annotated[int, _doc("Port of the task API by itself; 0 = on the same port as the rest.", ge=0)] = 0
    base_url: Annotated[str, _doc("The address that browsers use, if a proxy stands before it.")] = ""
    hosts: Annotated[tuple[str, ...], _doc("Further names that browsers reach it by; * = any.", _LIST)] = ()
    trusted_proxies: Annotated[tuple[str, ...], _doc("Proxies whose X-Forwarded headers are believed.", _LIST)] = ()
    tls_certificate: Annotated[str, _doc("File of the certificate, to serve https without a proxy.")] = ""
    tls_key: Annotated[str, _doc("File of the certificate's key.")] = ""
    session: Annotated[float, _doc("How long a login lasts without being used.", _SECONDS, gt=0)] = 7 * 86400.0
    max_body: Annotated[int, _doc("Size of the largest request, but for runners' reports.", _BYTES, ge=1)] = 2 * 2**20
    public_metrics: Annotated[bool, _doc("Whether /metrics can be read without logging in.")] = False


class OidcSection(msgspec.Struct, frozen=True, kw_only=True):
    """Login with OpenID Connect. Users are made when they first log in."""

    issuer: Annotated[str, _doc("Address of the provider; empty = no such login.")] = ""
    client_id: Annotated[str, _doc("What the provider knows Airloom as.")] = ""
    client_secret: Annotated[str, _doc("The secret that goes with it.", _SECRET)] = ""
    name: Annotated[str, _doc("What the login page calls the provider.")] = "Single sign-on"
    scopes: Annotated[tuple[str, ...], _doc("What is asked for.", _LIST)] = ("openid", "profile", "email")
    username_claim: Annotated[str, _doc("The claim that new users are named by.")] = "preferred_username"
    role_claim: Annotated[str, _doc("The claim that lists a user's groups; dots go into objects.")] = "groups"
    viewers: Annotated[tuple[str, ...], _doc("Groups whose users are viewers.", _LIST)] = ()
    editors: Annotated[tuple[str, ...], _doc("Groups whose users are editors.", _LIST)] = ()
    operators: Annotated[tuple[str, ...], _doc("Groups whose users are operators.", _LIST)] = ()
    admins: Annotated[tuple[str, ...], _doc("Groups whose users are administrators.", _LIST)] = ()
    default_role: Annotated[
        Literal["none", "viewer", "editor", "operator", "admin"], _doc("The role of users in none of these groups.")
    ] = "none"


class OtelSection(msgspec.Struct, frozen=True, kw_only=True):
    """OpenTelemetry traces of runs and tries."""

    endpoint: Annotated[str, _doc("OTLP/HTTP address, such as http://localhost:4318; empty = no traces.")] = ""
    service: Annotated[str, _doc("The name of the service in the traces.")] = "airloom"


class CLI(msgspec.Struct, frozen=True, kw_only=True):
    """The command line."""

    timezone: Annotated[str, _doc("Time zone of the times shown; local = this machine's.", _TIMEZONE_OR_LOCAL)] = (
        "local"
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, by section."""

    core: Core
    database: DatabaseSection
    local: Local
    runner: Runner
    loader: Loader
    scheduler: Scheduler
    xcom: XComSection
    logs: Logs
    retention: Retention
    api: ApiSection
    oidc: OidcSection
    otel: OtelSection
    cli: CLI


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and, for each "section.key", the origin of its value: "default", a file's path or a variable's name."""

    settings: Settings
    origins: dict[str, str]


class SettingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One setting for a list: `value` is fit to be shown (a secret is ***)."""

    section: str
    key: str
    value: Any
    origin: str
    doc: str


def load(env: Mapping[str, str], cwd: Path) -> Loaded:
    """Read all settings. Raises SettingsError that names the file or variable, the key and what was expected."""
    home = cwd / Path(env.get("AIRLOOM_HOME") or "~/airloom").expanduser()
    origins: dict[str, str] = {}
    given: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for section, key, raw, origin, base in (*_from_file(_find_file(env, cwd, home)), *_from_environment(env, cwd)):
        given[section][key] = _convert(section, key, raw, origin, base)
        origins[f"{section}.{key}"] = origin
    given["core"]["home"] = home
    origins["core.home"] = "AIRLOOM_HOME" if env.get("AIRLOOM_HOME") else DEFAULT
    given["core"].setdefault("dags_folder", home / "dags")
    given["database"].setdefault("url", f"sqlite:///{home / 'airloom.db'}")
    given["local"].setdefault("parallelism", default_parallelism())
    settings = Settings(**{section: struct(**given[section]) for section, struct in _SECTIONS.items()})
    for section, struct in _SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            origins.setdefault(f"{section}.{field.name}", DEFAULT)
    return Loaded(settings=settings, origins=origins)


def listening_at(loaded: Loaded, host: str | None, port: int | None) -> Loaded:
    """The same with another address of the API, where one is given."""
    api = loaded.settings.api
    changed = msgspec.structs.replace(
        api, host=api.host if host is None else host, port=api.port if port is None else port
    )
    return msgspec.structs.replace(loaded, settings=msgspec.structs.replace(loaded.settings, api=changed))


def describe(loaded: Loaded) -> Iterator[SettingInfo]:
    """Every setting in order, for `airloom config list`; secrets and passwords are shown as ***."""
    for section, struct in _SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            _, meta = _unpack(field.type)
            value = getattr(getattr(loaded.settings, section), field.name)
            yield SettingInfo(
                section=section,
                key=field.name,
                value=_shown(section, field.name, value),
                origin=loaded.origins[f"{section}.{field.name}"],
                doc=meta.description or "",
            )


def mask_url(url: str) -> str:
    """The URL with *** for its password."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return "***"
    return url.replace(f":{password}@", ":***@", 1) if password else url


_SECTIONS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(Settings)}
_FIELDS: dict[str, dict[str, Any]] = {
    section: {field.name: field.type for field in msgspec.structs.fields(struct)}
    for section, struct in _SECTIONS.items()
}

#: section, key, raw value, origin, folder that a relative path in it starts from
_Given = tuple[str, str, Any, str, Path]


def _find_file(env: Mapping[str, str], cwd: Path, home: Path) -> Path:
    here = cwd / FILE_NAME
    return here if not env.get("AIRLOOM_HOME") and here.is_file() else home / FILE_NAME


def _from_file(path: Path) -> Iterator[_Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from None
    for section, table in document.items():
        if section in _SECTIONS and not isinstance(table, dict):
            raise SettingsError(f"{path}: {section} is a section; write it as a table, [{section}].")
        if section not in _SECTIONS:
            raise SettingsError(f"{path}: there is no section [{section}].{_nearest(section, _SECTIONS)}")
        for key, value in table.items():
            if key not in _FIELDS[section]:
                elsewhere = [f"[{other}] {key}" for other, fields in _FIELDS.items() if key in fields]
                hint = f" There is {' and '.join(elsewhere)}." if elsewhere else _nearest(key, _FIELDS[section])
                raise SettingsError(f"{path}: section [{section}] has no setting {key}.{hint}")
            yield section, key, value, str(path), path.parent


def _from_environment(env: Mapping[str, str], cwd: Path) -> Iterator[_Given]:
    for variable, value in env.items():
        if not variable.startswith(PREFIX):
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        if section not in _SECTIONS or key not in _FIELDS[section]:
            names = [f"{PREFIX}{s}__{k}".upper() for s, fields in _FIELDS.items() for k in fields]
            raise SettingsError(f"Environment variable {variable} names no setting.{_nearest(variable, names)}")
        yield section, key, value, variable, cwd


def _convert(section: str, key: str, raw: Any, origin: str, base: Path) -> Any:
    kind, meta = _unpack(_FIELDS[section][key])
    extra = meta.extra or {}
    if extra.get("read_only"):
        raise SettingsError(f"{origin}: [{section}] {key} cannot be set here; set the variable AIRLOOM_HOME.")
    text = origin.startswith(PREFIX)
    try:
        if kind is Path:
            if not isinstance(raw, str) or not raw.strip():
                raise ValueError
            return base / Path(raw).expanduser()
        return _PARSERS.get(str(extra.get("unit")), _plain)(raw, _FIELDS[section][key], text)
    except (msgspec.ValidationError, ValueError) as error:
        problem = str(error) if isinstance(error, _Refused) else f"expected {_expected(kind, meta)}"
        shown = "***" if extra.get("secret") else repr(_shown(section, key, raw))
        ending = "" if problem.endswith("?") else "."
        raise SettingsError(f"{origin}: [{section}] {key} is {shown}; {problem}{ending}") from None


class _Refused(ValueError):
    """A value that needs more of an explanation than what was expected."""


def _plain(raw: Any, hint: Any, text: bool) -> Any:
    return msgspec.convert(raw, hint, strict=not text)


_DURATION = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def _quantity(raw: Any, units: Mapping[str, float]) -> Any:
    if not isinstance(raw, str):
        return raw
    match = _QUANTITY.fullmatch(raw)
    if match is None or match[2].lower() not in units:
        raise ValueError
    return float(match[1]) * units[match[2].lower()]


def _seconds(raw: Any, hint: Any, text: bool) -> Any:
    value = _plain(_quantity(raw, _DURATION), hint, False)
    if not math.isfinite(value):
        raise ValueError
    return value


def _bytes(raw: Any, hint: Any, text: bool) -> Any:
    value = _quantity(raw, _SIZE)
    return _plain(int(value) if isinstance(raw, str) else value, hint, False)


def _timezone(raw: Any, hint: Any, text: bool) -> Any:
    name = str(_plain(raw, hint, text))
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        raise _Refused(
            f"expected a time zone such as UTC or Europe/Paris.{_nearest(name, known)}".rstrip(".")
        ) from None
    return name


def _timezone_or_local(raw: Any, hint: Any, text: bool) -> Any:
    return raw if raw == "local" else _timezone(raw, hint, text)


def _executors(raw: Any, hint: Any, text: bool) -> Any:
    names = [name.strip() for name in raw.split(",")] if isinstance(raw, str) else list(_plain(raw, hint, text))
    if not names or len(set(names)) < len(names):
        raise _Refused("expected at least one executor, each once")
    for name in names:
        if name in _EXECUTORS_TO_COME:
            raise _Refused(f"{name} is not in this version yet; use local or sequential")
        if name not in EXECUTORS:
            raise _Refused(
                f"{name!r} is no executor; there are local and sequential.{_nearest(name, EXECUTORS)}".rstrip(".")
            )
    return tuple(EXECUTORS[name] for name in names)


def _list(raw: Any, hint: Any, text: bool) -> Any:
    return tuple(part.strip() for part in raw.split(",") if part.strip()) if text else _plain(raw, hint, text)


_PARSERS = {
    "list": _list,
    "seconds": _seconds,
    "bytes": _bytes,
    "timezone": _timezone,
    "timezone or local": _timezone_or_local,
    "executor": _executors,
}


def _unpack(hint: Any) -> tuple[Any, Meta]:
    kind, meta = typing.get_args(hint)
    return kind, meta


def _expected(kind: Any, meta: Meta) -> str:
    unit = (meta.extra or {}).get("unit")
    least = f" of at least {meta.ge}" if meta.ge else " above 0" if meta.gt is not None else ""
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(typing.get_args(kind))
    if unit == "seconds":
        return f'a duration{least}: seconds, or a text such as "90s", "10m", "2h" or "7d"'
    if unit == "bytes":
        return f'a size{least}: bytes, or a text such as "500MB" or "2GiB"'
    names: dict[Any, str] = {bool: "true or false", int: f"a whole number{least or ' of at least 0'}", Path: "a path"}
    return names.get(kind, "a list of texts" if isinstance(kind, types.GenericAlias) else "a text")


def _shown(section: str, key: str, value: Any) -> Any:
    _, meta = _unpack(_FIELDS[section][key])
    if (meta.extra or {}).get("secret"):
        return "***" if value else ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return mask_url(value) if key == "url" and isinstance(value, str) else value


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
