"""Reading the settings of sections.py: what they are given by, what is wrong with them, where each value came from.

Sources, later ones win: defaults, `airloom.toml`, environment variables `AIRLOOM__SECTION__KEY`, or with `_FILE` after
that the path of a file that holds the value. The home folder is AIRLOOM_HOME.
"""

import math
import re
import tomllib
import types
import typing
import zoneinfo
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Meta

from airloom.bundles.definitions import read_bundles, shown
from airloom.executors.settings import default_parallelism
from airloom.model.bundles import Bundle, LocalBundle
from airloom.model.errors import SettingsError
from airloom.model.spelling import did_you_mean
from airloom.sections import Settings

PREFIX = "AIRLOOM__"
#: what a variable ends in that names a file with the value, as container platforms give secrets
_IN_FILE = "_file"
FILE_NAME = "airloom.toml"
#: not a section of settings, but one of tables by name; and the bundle of [core] dags_folder
_BUNDLES = "bundles"
DAGS_BUNDLE = "dags"
DEFAULT = "default"

#: executor name -> our name; Airflow's names are accepted
EXECUTORS = {
    "sequential": "sequential",
    "local": "local",
    "SequentialExecutor": "sequential",
    "LocalExecutor": "local",
    "celery": "celery",
    "CeleryExecutor": "celery",
    "kubernetes": "kubernetes",
    "KubernetesExecutor": "kubernetes",
}


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
    bundles: dict[str, Bundle] = {}
    for section, key, raw, origin, base in (*_from_file(_find_file(env, cwd, home)), *_from_environment(env, cwd)):
        if section == _BUNDLES:
            bundles = _bundles(raw, origin, base)
            origins |= {f"{_BUNDLES}.{name}": origin for name in bundles}
            continue
        given[section][key] = _convert(section, key, raw, origin, base)
        origins[f"{section}.{key}"] = origin
    given["core"]["home"] = home
    origins["core.home"] = "AIRLOOM_HOME" if env.get("AIRLOOM_HOME") else DEFAULT
    given["core"].setdefault("dags_folder", home / "dags")
    given["database"].setdefault("url", f"sqlite:///{home / 'airloom.db'}")
    given["local"].setdefault("parallelism", default_parallelism())
    if not bundles or "core.dags_folder" in origins:
        if DAGS_BUNDLE in bundles:
            raise SettingsError(
                f"{origins['core.dags_folder']}: [core] dags_folder is the bundle {DAGS_BUNDLE}, and "
                f"{origins[f'{_BUNDLES}.{DAGS_BUNDLE}']} has [bundles.{DAGS_BUNDLE}]: leave one of them out."
            )
        bundles[DAGS_BUNDLE] = LocalBundle(path=str(given["core"]["dags_folder"]))
    sections = {section: struct(**given[section]) for section, struct in _SECTIONS.items()}
    settings = Settings(**sections, bundles=bundles)
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


def with_dags_folder(loaded: Loaded, folder: Path) -> Loaded:
    """The same with another folder of DAG files."""
    core = msgspec.structs.replace(loaded.settings.core, dags_folder=folder)
    bundles = {**loaded.settings.bundles, DAGS_BUNDLE: LocalBundle(path=str(folder))}
    return msgspec.structs.replace(
        loaded, settings=msgspec.structs.replace(loaded.settings, core=core, bundles=bundles)
    )


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
    for name, bundle in loaded.settings.bundles.items():
        if origin := loaded.origins.get(f"{_BUNDLES}.{name}"):
            yield SettingInfo(
                section=_BUNDLES, key=name, value=shown(bundle), origin=origin, doc="Where DAG code comes from."
            )


def mask_url(url: str) -> str:
    """The URL, or several with ; between them, with *** for passwords: rather too much is hidden than too little, in
    one with characters that are to be percent-encoded."""
    masked = (_PASSWORD.sub(r"\1:***@", part) for part in _SEVERAL.split(url))
    return _SECRET_OPTION.sub(r"\1***", ";".join(masked))


_SEVERAL = re.compile(r";(?=[a-z+]+://)")
#: whose address it is, and the rest of that up to the last @
_PASSWORD = re.compile(r"((?:^|://)[^:/?#@]*):(?!//).*@", re.DOTALL)
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:password|passwd|secret|token)[^=&]*=)[^&;]*", re.IGNORECASE)


_SECTIONS: dict[str, Any] = {
    field.name: field.type for field in msgspec.structs.fields(Settings) if field.name != _BUNDLES
}
_FIELDS: dict[str, dict[str, Any]] = {
    section: {field.name: field.type for field in msgspec.structs.fields(struct)}
    for section, struct in _SECTIONS.items()
}

#: how a setting is called in a variable, after the prefix -> its section and key; all bundles are one
_NAMES = {f"{section}__{key}": (section, key) for section, fields in _FIELDS.items() for key in fields}
_NAMES[_BUNDLES] = (_BUNDLES, "")

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
        if section == _BUNDLES:
            yield _BUNDLES, "", table, str(path), path.parent
            continue
        if section in _SECTIONS and not isinstance(table, dict):
            raise SettingsError(f"{path}: {section} is a section; write it as a table, [{section}].")
        if section not in _SECTIONS:
            raise SettingsError(f"{path}: there is no section [{section}]{did_you_mean(section, _SECTIONS)}")
        for key, value in table.items():
            if key not in _FIELDS[section]:
                elsewhere = [f"[{other}] {key}" for other, fields in _FIELDS.items() if key in fields]
                there = f". There is {' and '.join(elsewhere)}" if elsewhere else ""
                hint = there or did_you_mean(key, _FIELDS[section])
                raise SettingsError(f"{path}: section [{section}] has no setting {key}{hint}")
            yield section, key, value, str(path), path.parent


def _from_environment(env: Mapping[str, str], cwd: Path) -> Iterator[_Given]:
    by: dict[tuple[str, str], str] = {}
    for variable, value in env.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        # A setting whose own name ends so is that setting.
        in_file = name not in _NAMES and name.endswith(_IN_FILE)
        setting = _NAMES.get(name.removesuffix(_IN_FILE) if in_file else name)
        if setting is None:
            names = [f"{PREFIX}{known}".upper() for known in _NAMES]
            raise SettingsError(f"Environment variable {variable} names no setting{did_you_mean(variable, names)}")
        other = by.setdefault(setting, variable)
        if other != variable:
            raise SettingsError(f"{other} and {variable} are both given, for the same setting: leave one of them out.")
        yield *setting, _read_value(variable, value, cwd) if in_file else value, variable, cwd


def _read_value(variable: str, path: str, cwd: Path) -> str:
    """The text of the file that a variable names, without white space around it."""
    if not path.strip():
        raise SettingsError(f"{variable} is empty; give the path of the file that holds the value.")
    try:
        return (cwd / Path(path).expanduser()).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable}: {path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, RuntimeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise SettingsError(f"{variable}: {path} cannot be read: {why}.") from None


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


def _bundles(raw: Any, origin: str, base: Path) -> dict[str, Bundle]:
    try:
        tables = msgspec.json.decode(raw) if isinstance(raw, str) else raw
    except msgspec.DecodeError as error:
        raise SettingsError(f"{origin} is not valid JSON: {error}.") from None
    return read_bundles(tables, origin, base, lambda value: _seconds(value, float, False))


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
        raise _Refused(f"expected a time zone such as UTC or Europe/Paris{did_you_mean(name, known)}") from None
    return name


def _timezone_or_local(raw: Any, hint: Any, text: bool) -> Any:
    return raw if raw == "local" else _timezone(raw, hint, text)


def _executors(raw: Any, hint: Any, text: bool) -> Any:
    names = [name.strip() for name in raw.split(",")] if isinstance(raw, str) else list(_plain(raw, hint, text))
    if not names or len(set(names)) < len(names):
        raise _Refused("expected at least one executor, each once")
    for name in names:
        if name not in EXECUTORS:
            there = "there are local, sequential, celery and kubernetes"
            raise _Refused(f"{name!r} is no executor; {there}{did_you_mean(name, EXECUTORS)}")
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
    least += f" and at most {meta.le}" if meta.le is not None else ""
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
