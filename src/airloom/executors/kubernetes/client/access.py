"""How API servers are reached: from within a cluster, or as a kubeconfig says; by which proxy."""

import ipaddress
import os
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from airloom.executors.kubernetes.client.login import Login, StoredLogin, basic
from airloom.model.errors import SettingsError

#: where the node puts what a pod may use
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A server. path: what all its paths begin with."""

    host: str
    port: int
    secure: bool
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}{self.path}"


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP proxy that makes tunnels. authorization: what it is shown, if it wants a password."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Which certificates are believed: of these authorities (PEM, or a file, which may be replaced; empty: the
    system's), for this name instead of the host's. verify: False believes anyone."""

    authorities: bytes | Path = b""
    name: str = ""
    verify: bool = True


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """An API server, and who we are there. headers: sent with each request; namespace: the one that is meant when
    none is named."""

    server: Address
    login: Login
    trust: Trust = Trust()
    proxy: Proxy | None = None
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = "default"


def within_cluster() -> Access | None:
    """The API server of the cluster that we run in, as our pod's service account; None: we do not run in one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = _ACCOUNT / "token"
    if not host or not port.isdigit() or not token.exists():
        return None
    namespace = _ACCOUNT / "namespace"
    address = Address(host=host, port=int(port), secure=True)
    return Access(
        server=address,
        login=StoredLogin(f"the service account's token {token}", token=token),
        trust=Trust(authorities=_ACCOUNT / "ca.crt"),
        proxy=proxy_for(address),
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def read_address(url: str, whose: str) -> Address:
    """The address in a URL. Raises SettingsError, which begins with `whose`."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    try:
        port, secure = parts.port, {"http": False, "https": True}[parts.scheme]
        if not parts.hostname or parts.username is not None:
            raise ValueError
    except (KeyError, ValueError):
        # One with a user may have a password.
        shown = "" if "@" in url else f" {url!r}"
        raise SettingsError(f"{whose}{shown} is none of https://HOST:PORT or http://HOST:PORT") from None
    return Address(
        host=parts.hostname, port=port or (443 if secure else 80), secure=secure, path=parts.path.rstrip("/")
    )


def read_proxy(url: str, whose: str) -> Proxy:
    """The proxy in a URL. Raises SettingsError, which begins with `whose`."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError
        port = parts.port or 80
    except ValueError:
        raise SettingsError(
            f"{whose} is a proxy of the kind {parts.scheme}://, or has no host; Airloom takes http://HOST:PORT"
        ) from None
    user = basic(unquote(parts.username), unquote(parts.password or "")) if parts.username else ""
    return Proxy(host=parts.hostname, port=port, authorization=user)


def proxy_for(server: Address) -> Proxy | None:
    """The proxy that the environment has for a server, as HTTPS_PROXY and NO_PROXY say. Raises SettingsError."""
    proxies = urllib.request.getproxies_environment()
    kind = "https" if server.secure else "http"
    if kind not in proxies or _goes_without(server.host, proxies.get("no", "")):
        return None
    return read_proxy(proxies[kind], f"{kind}_proxy")


def _goes_without(host: str, exceptions: str) -> bool:
    """Whether a host needs no proxy: this machine, or one that NO_PROXY names by name, domain, address or network.

    Python's own reading of NO_PROXY has no networks, which is how the addresses of services are written there.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_names(entry.strip().lower(), host.lower(), address) for entry in exceptions.split(","))


def _names(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    if address is not None:
        try:
            return address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry.partition(":")[0].removeprefix("*").removeprefix(".")
    return host == domain or host.endswith(f".{domain}")
