"""Reads the tables [bundles.NAME] of the settings: what is wrong with one is said in a sentence."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airloom.model.bundles import Bundle, GitBundle, LocalBundle
from airloom.model.errors import SettingsError
from airloom.model.spelling import did_you_mean

KINDS: dict[str, type[LocalBundle] | type[GitBundle]] = {"local": LocalBundle, "git": GitBundle}
#: schemes of repositories' addresses; git knows others, some of which run programs
SCHEMES = ("https", "http", "ssh", "git", "file")

#: a folder's name on every disk, and a label in metrics; `airloom run` has "file" for itself
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_RESERVED = "file"
#: host:path and user@host:path, as ssh takes them
_SCP = re.compile(r"(?P<user>[\w.-]+@)?[\w][\w.-]*:(?!//)(?P<path>[^-].*)")
#: what git allows in the name of a branch or tag, without what means something else in its commands
_REF = re.compile(r"(?!-)(?!.*(\.\.|@\{|//|\.lock$|/$|\.$))[^\x00-\x20~^:?*\[\\\x7f]+")
_FILES = ("token_file", "ssh_key_file", "known_hosts_file")


def read_bundles(tables: Any, origin: str, base: Path, seconds: Callable[[Any], float]) -> dict[str, Bundle]:
    """The bundles that `tables` define, by name. base: where relative paths start; seconds: reads a duration, or raises
    ValueError. Raises SettingsError that names `origin`, the bundle and what was expected."""
    if not isinstance(tables, dict):
        raise SettingsError(f'{origin}: bundles are tables by name: [bundles.flows] with kind = "git" and a url.')
    return {name: _Reader(f"{origin}: [bundles.{name}]", base, seconds).read(name, tables[name]) for name in tables}


def shown(bundle: Bundle) -> dict[str, Any]:
    """A bundle for people to see: what it says, without what has its default, and without anyone's password."""
    values = {key: value for key, value in msgspec.to_builtins(bundle).items() if value != ""}
    if isinstance(bundle, GitBundle):
        values["url"] = without_user(bundle.url)
    return values


def where(bundle: Bundle) -> str:
    """Where a bundle's code is, in a word."""
    return without_user(bundle.url) if isinstance(bundle, GitBundle) else bundle.path


def without_user(url: str) -> str:
    """An address without who uses it, who may be a token; what ssh is given is no secret."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if not mark or scheme == "ssh" or "@" not in host:
        return url
    return f"{scheme}://***@{host.rpartition('@')[2]}{slash}{path}"


class _Reader:
    """Reads one bundle; `where` begins each sentence about it."""

    def __init__(self, where: str, base: Path, seconds: Callable[[Any], float]) -> None:
        self._where = where
        self._base = base
        self._seconds = seconds

    def read(self, name: str, table: Any) -> Bundle:
        """The bundle. Raises SettingsError."""
        if not _NAME.fullmatch(name) or name == _RESERVED:
            raise self._wrong(
                "a bundle's name is made of letters, digits, '_', '.' and '-', and does not begin with '.' or '-'"
                if name != _RESERVED
                else f"the name {_RESERVED!r} is Airloom's own; choose another"
            )
        if not isinstance(table, dict):
            raise self._wrong(f'expected a table such as [bundles.{name}] with kind = "local" and a path')
        kind = KINDS.get(table.get("kind", ""))
        if kind is None:
            given = f"kind is {table['kind']!r}" if "kind" in table else "kind is missing"
            raise self._wrong(f"{given}; expected one of {', '.join(KINDS)}")
        for key in table.keys() - {"kind"} - set(kind.__struct_fields__):
            fields = kind.__struct_fields__
            hint = did_you_mean(key, fields) or f"; there are {', '.join(fields)}"
            raise self._wrong(f"a bundle of kind {table['kind']} has no setting {key}{hint}")
        for key, value in table.items():
            if not isinstance(value, str) and key != "refresh":
                raise self._wrong(f"{key} is to be a text")
        return self._local(table) if kind is LocalBundle else self._git(table)

    def _local(self, table: Mapping[str, Any]) -> LocalBundle:
        if not table.get("path", "").strip():
            raise self._wrong("path is missing: the folder of DAG files")
        return LocalBundle(path=str(self._path(table["path"])))

    def _git(self, table: Mapping[str, Any]) -> GitBundle:
        url = table.get("url", "")
        self._check_url(url, "token_file" in table)
        ref = table.get("ref", "")
        if ref and not _REF.fullmatch(ref):
            raise self._wrong(f"ref is {ref!r}, which can be no branch, tag or commit")
        subfolder = PurePosixPath(table.get("subfolder", ""))
        if subfolder.is_absolute() or ".." in subfolder.parts or "\0" in str(subfolder):
            raise self._wrong(f"subfolder is {str(subfolder)!r}; expected a folder inside the repository, such as dags")
        values: dict[str, Any] = {key: str(self._path(table[key])) for key in _FILES if table.get(key)}
        if "token_file" in values and not url.startswith(("https://", "http://")):
            raise self._wrong("a token_file is for http and https addresses; for ssh there is ssh_key_file")
        if ("ssh_key_file" in values or "known_hosts_file" in values) and "://" in url and not url.startswith("ssh://"):
            raise self._wrong("ssh_key_file and known_hosts_file are for ssh addresses; for https there is token_file")
        if "refresh" in table:
            values["refresh"] = self._refresh(table["refresh"])
        return GitBundle(url=url, ref=ref, subfolder="" if subfolder.name == "" else str(subfolder), **values)

    def _check_url(self, url: str, with_token: bool) -> None:
        expected = "expected an address such as https://host/team/flows.git, git@host:team/flows.git or file:///path"
        if not url:
            raise self._wrong(f"url is missing; {expected}")
        if any(character <= " " or character == "\x7f" for character in url) or url.startswith("-"):
            raise self._wrong(f"url cannot be read; {expected}")
        scheme, mark, _ = url.partition("://")
        if not mark:
            # Without a scheme git takes a path for a repository, and NAME::ADDRESS for a program to run.
            if "::" in url or not _SCP.fullmatch(url):
                raise self._wrong(f"url cannot be read; {expected}")
            return
        if scheme not in SCHEMES:
            raise self._wrong(f"url begins with {scheme}://, which is not one of {', '.join(SCHEMES)}")
        try:
            parts = urlsplit(url)
            password, host, _port = parts.password, parts.hostname, parts.port
        except ValueError:
            raise self._wrong(f"url cannot be read; {expected}") from None
        if password is not None or (parts.username and scheme in ("http", "https") and not with_token):
            raise self._wrong("url has a password or token in it: put that into a file, and name it as token_file")
        if (scheme != "file" and not host) or (host or "").startswith("-") or (parts.username or "").startswith("-"):
            raise self._wrong(f"url names no host; {expected}")

    def _refresh(self, raw: Any) -> float:
        try:
            seconds = self._seconds(raw)
        except (ValueError, msgspec.MsgspecError):
            seconds = 0.0
        if seconds < 1:
            raise self._wrong(f'refresh is {raw!r}; expected at least 1 s, as a number or a text such as "5m"')
        return seconds

    def _path(self, text: str) -> Path:
        return self._base / Path(text).expanduser()

    def _wrong(self, problem: str) -> SettingsError:
        return SettingsError(f"{self._where}: {problem}{'' if problem.endswith('?') else '.'}")
