"""Connection: how to reach another system, kept encrypted in the database; and BaseHook, which looks it up."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from airloom.model.wire import GetConnection
from airloom.sdk.client import current_client
from airloom.sdk.exceptions import AirflowException, AirflowNotFoundException
from airloom.sdk.lazy import load
from airloom.sdk.secrecy import is_secret, mask
from airloom.sdk.xcom import MISSING

if TYPE_CHECKING:
    from logging import Logger

#: the query key under which an extra that is no flat dict of texts stands in a URI
_EXTRA_KEY = "__extra__"


class Connection:
    """Host, login, password and the like. `extra` is JSON text or a dict; `uri` gives all of it in one text."""

    def __init__(
        self,
        conn_id: str | None = None,
        conn_type: str | None = None,
        description: str | None = None,
        host: str | None = None,
        login: str | None = None,
        password: str | None = None,
        schema: str | None = None,
        port: int | str | None = None,
        extra: str | Mapping[str, Any] | None = None,
        uri: str | None = None,
    ) -> None:
        self.conn_id = conn_id
        self.description = description
        self.conn_type = conn_type
        self.host = host
        self.login = login
        self.password = password
        self.schema = schema
        self.port = _port(port)
        self.extra: str | None = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
        if uri is not None:
            if any(part is not None for part in (conn_type, host, login, password, schema, port, extra)):
                raise AirflowException("a Connection is made of a uri or of its parts, not of both")
            self._parse(uri)

    @classmethod
    def get(cls, conn_id: str) -> "Connection":
        """The connection of that id; raises AirflowNotFoundException."""
        found = current_client().ask(GetConnection(conn_id=conn_id))
        if found is None:
            raise AirflowNotFoundException(
                f"there is no connection {conn_id!r}: add it with `airloom connections add {conn_id} ...` or, for "
                f"`airloom run`, give its URI as the environment variable AIRLOOM_CONN_{conn_id.upper()}"
            )
        fields = ("conn_type", "description", "host", "login", "password", "schema", "port")
        extra = found.get("extra") or None
        made = cls(conn_id=conn_id, extra=extra, **{name: found.get(name) for name in fields})
        mask(made.password)
        for name, value in made.extra_dejson.items():
            if is_secret(name):
                mask(value)
        return made

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extra as a dict; empty if it is none."""
        try:
            value = json.loads(self.extra) if self.extra else {}
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def get_extra_dejson(self) -> dict[str, Any]:
        """The extra as a dict; empty if it is none."""
        return self.extra_dejson

    def get_password(self) -> str | None:
        """The password."""
        return self.password

    def get_uri(self) -> str:
        """All of the connection as `type://login:password@host:port/schema?extra`; parsing it gives the same parts."""
        scheme = (self.conn_type or "").lower().replace("_", "-")
        user = quote(self.login or "", safe="")
        if self.password is not None:
            user += ":" + quote(self.password, safe="")
        place = (user + "@" if user else "") + quote(self.host or "", safe="")
        if self.port is not None:
            place += f":{self.port}"
        uri = f"{scheme}://{place}" if scheme else f"//{place}"
        if self.schema:
            uri += "/" + quote(self.schema, safe="")
        if self.extra:
            extra = self.extra_dejson
            query = urlencode(extra) if _is_flat(extra) else urlencode({_EXTRA_KEY: self.extra})
            uri += ("" if self.schema else "/") + "?" + query
        return uri

    def _parse(self, uri: str) -> None:
        scheme, separator, rest = uri.partition("://")
        if not separator:
            raise AirflowException("a connection's uri begins with its type, as in postgres://user@host/database")
        self.conn_type = {"postgresql": "postgres"}.get(scheme, scheme.replace("-", "_"))
        try:
            parts = urlsplit(f"//{rest}")
            self.port = parts.port
        except ValueError as error:
            raise AirflowException(
                f"the uri of a connection of type {self.conn_type} cannot be read: {error}"
            ) from None
        place = parts.netloc.rpartition("@")[2]
        host = place if place.endswith("]") else place.rpartition(":")[0] if ":" in place else place
        self.host = unquote(host) or None
        self.login = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password is not None else None
        self.schema = unquote(parts.path.lstrip("/")) or None
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if query:
            self.extra = query[_EXTRA_KEY] if _EXTRA_KEY in query else json.dumps(query)

    def __repr__(self) -> str:
        return f"<Connection {self.conn_id}: {self.conn_type}>"


def _port(value: int | str | None) -> int | None:
    try:
        return int(value) if value is not None and value != "" else None
    except ValueError:
        raise AirflowException(f"a connection's port is a number, not {value!r}") from None


def _is_flat(extra: Mapping[str, Any]) -> bool:
    return bool(extra) and all(isinstance(value, str) for value in extra.values())


class ConnectionAccessor:
    """`conn.my_connection.host` in templates."""

    def __getattr__(self, conn_id: str) -> Connection:
        if conn_id.startswith("__"):
            raise AttributeError(conn_id)
        return Connection.get(conn_id)

    def get(self, conn_id: str, default: Any = MISSING) -> Any:
        """The connection `conn_id`, or `default`."""
        try:
            return Connection.get(conn_id)
        except AirflowNotFoundException:
            if default is MISSING:
                raise
            return default


class BaseHook:
    """The parent of hooks: objects that talk to another system by means of a connection."""

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection of that id; raises AirflowNotFoundException."""
        return Connection.get(conn_id)

    def get_conn(self) -> Any:
        """The open connection; every hook has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no get_conn() method")

    @property
    def log(self) -> "Logger":
        """The task's log."""
        return cast("Logger", load("logging").getLogger("airloom.task"))
