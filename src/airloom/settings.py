"""Reading the settings of sections.py: what they are given by, what is wrong with them, where each value came from.

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
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from airloom.executors.settings import default_parallelism
from airloom.model.errors import SettingsError
from airloom.sections import Settings

PREFIX = "AIRLOOM__"
FILE_NAME = "airloom.toml"
DEFAULT = "default"

#: executor name -> our name; Airflow's names are accepted
EXECUTORS = {
    "sequential": "sequential",
    "local": "local",
    "SequentialExecutor": "sequential",
    "LocalExecutor": "local",
    "celery": "celery",
    "CeleryExecutor": "celery",
}
_EXECUTORS_TO_COME = {"kubernetes", "KubernetesExecutor"}


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
    except (msgspec.MsgspecError, ValueError) as error:
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
            raise _Refused(f"{name} is not in this version yet; use local, sequential or celery")
        if name not in EXECUTORS:
            there = "there are local, sequential and celery"
            raise _Refused(f"{name!r} is no executor; {there}.{_nearest(name, EXECUTORS)}".rstrip("."))
    return tuple(EXECUTORS[name] for name in names)


def _list(raw: Any, hint: Any, text: bool) -> Any:
    return tuple(part.strip() for part in raw.split(",") if part.strip()) if text else _plain(raw, hint, text)


def _table(raw: Any, hint: Any, text: bool) -> Any:
    return _plain(msgspec.json.decode(raw) if isinstance(raw, str) else raw, hint, False)


_PARSERS = {
    "list": _list,
    "table": _table,
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
    return names.get(
        kind, "a table" if unit == "table" else "a list of texts" if isinstance(kind, types.GenericAlias) else "a text"
    )


def _shown(section: str, key: str, value: Any) -> Any:
    _, meta = _unpack(_FIELDS[section][key])
    if (meta.extra or {}).get("secret"):
        return "***" if value else ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return mask_url(value) if (key == "url" or (meta.extra or {}).get("url")) and isinstance(value, str) else value


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
