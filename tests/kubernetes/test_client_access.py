"""How the client of Kubernetes' API finds its clusters: kubeconfigs as kubectl reads them, and proxies."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airloom.executors.kubernetes.client.access import Address, proxy_for
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import Unreachable
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.login import PluginLogin
from airloom.model.errors import SettingsError
from tests.kubernetes.api import Object
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.odd_servers import TunnelProxy

_VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither kubeconfig nor cluster nor proxy, unless a test has one."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def _entry(server: str, user: Object | None = None, name: str = "a", **more: Any) -> Object:
    """A kubeconfig with one cluster, one user and one context of a name."""
    return {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, **more}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def _write(path: Path, whole: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(whole))
    return str(path)


# --- kubeconfigs ------------------------------------------------------------------------------------------------------
def test_contexts_of_one_file_are_several_clusters(
    control_plane: ControlPlane, clusters: Clusters, tmp_path: Path
) -> None:
    other = clusters.get("forgetful", pod_cache=False)
    whole: Object = {"current-context": "here", "clusters": [], "users": [], "contexts": []}
    for name, plane in (("here", control_plane), ("there", other)):
        access = plane.access()
        cluster = {"server": access.server, "certificate-authority": access.ca}
        whole["clusters"].append({"name": name, "cluster": cluster})
        whole["users"].append({"name": name, "user": {"token": access.token}})
        context = {"cluster": name, "user": name, "namespace": f"ns-{name}"}
        whole["contexts"].append({"name": name, "context": context})
    path = _write(tmp_path / "config", whole)
    only_there = other.namespace()
    manifest = {"metadata": {"name": "s"}}
    with closing(Api(find_access(path, "there"))) as there, closing(Api(find_access(path))) as here:
        assert there.create_secret(only_there, manifest).uid
        assert here.list_secrets(only_there, "") == ()
        assert (here.access.namespace, there.access.namespace) == ("ns-here", "ns-there")


def test_the_first_file_that_has_a_name_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _entry("https://one:1", name="a") | {"current-context": ""}
    second = _entry("https://two:2", name="a")
    second["clusters"].append({"name": "b", "cluster": {"server": "https://three:3"}})
    second["contexts"].append({"name": "b", "context": {"cluster": "b"}})
    paths = [_write(tmp_path / "1", first), str(tmp_path / "missing"), _write(tmp_path / "2", second)]
    monkeypatch.setenv("KUBECONFIG", ":".join(paths))
    assert str(find_access().server) == "https://one:1"
    assert str(find_access("", "b").server) == "https://three:3"
    # A file that is named counts alone.
    assert str(find_access(paths[2]).server) == "https://two:2"


def test_the_file_in_the_home_is_taken_where_no_other_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "home" / ".kube" / "config", _entry("https://[fd00::1]"))
    access = find_access()
    assert (access.server.host, access.server.port, str(access.server)) == ("fd00::1", 443, "https://[fd00::1]:443")


def test_files_in_a_kubeconfig_are_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = {"exec": {"apiVersion": _VERSION, "command": "bin/login", "args": None, "env": None}}
    _write(tmp_path / "deep" / "config", _entry("https://one", user, **{"certificate-authority": "pki/ca.crt"}))
    # A link to it is as good.
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "config")
    monkeypatch.chdir(tmp_path)
    access = find_access("link")
    assert access.trust.authorities == tmp_path / "deep" / "pki" / "ca.crt"
    assert isinstance(access.login, PluginLogin)
    with pytest.raises(Unreachable, match="the login program login cannot be started"):
        access.login.shown()


def test_a_server_may_be_behind_a_path(tmp_path: Path) -> None:
    access = find_access(_write(tmp_path / "config", _entry("https://rancher.example/k8s/clusters/c-1/")))
    assert (access.server.port, access.server.path) == (443, "/k8s/clusters/c-1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"current-context": ""}, "has no current-context: name one (it has a)"),
        ({"current-context": "b"}, "has no context 'b' (it has a)"),
        ({"users": None}, "has no user 'a'"),
        ({"clusters": []}, "has no cluster 'a'"),
        ({"clusters": [{"name": "a", "cluster": {}}]}, "the server of cluster 'a'"),
        ({"clusters": [{"name": "a", "cluster": {"server": "ftp://x"}}]}, "is none of https://HOST:PORT"),
        ({"users": [{"name": "a", "user": {"token": 5}}]}, "cannot be read: Expected `str`, got `int`"),
        ({"users": [{"name": "a", "user": {"client-certificate": "x"}}]}, "without its client-key"),
        ({"users": [{"name": "a", "user": {"as": "a\nb"}}]}, "whose name no HTTP header can have"),
        ({"users": [{"name": "a", "user": {"client-key-data": "?"}}]}, "is no base64"),
        ({"users": [{"name": "a", "user": {"auth-provider": {"name": "gcp"}}}]}, "auth-provider 'gcp', which kubectl"),
        ({"users": [{"name": "a", "user": {"exec": {"command": "x"}}}]}, "is asked for no apiVersion"),
        ({"users": [{"name": "a", "user": {"exec": {"apiVersion": _VERSION}}}]}, "has no command"),
        (
            {"users": [{"name": "a", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1"}}}]},
            "is asked for client.authentication.k8s.io/v1alpha1; Airloom speaks",
        ),
        (
            {
                "users": [
                    {
                        "name": "a",
                        "user": {"exec": {"apiVersion": _VERSION, "command": "x", "interactiveMode": "Always"}},
                    }
                ]
            },
            "wants to ask somebody",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_with_what_is_wrong(
    tmp_path: Path, change: Object, words: str
) -> None:
    path = _write(tmp_path / "config", _entry("https://one") | change)
    with pytest.raises(SettingsError) as wrong:
        find_access(path)
    assert words in str(wrong.value)
    assert path in str(wrong.value)


def test_a_kubeconfig_that_is_no_yaml_is_told_without_its_text(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users:\n- token: hush\n  user: [hush: }\n")
    with pytest.raises(SettingsError, match=r"config is no YAML, line 3") as wrong:
        find_access(str(path))
    assert "hush" not in str(wrong.value)


def test_no_cluster_at_all_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no Kubernetes cluster is named: .*\.kube/config"):
        find_access()
    with pytest.raises(SettingsError, match="no context 'x' either"):
        find_access("", "x")
    with pytest.raises(SettingsError, match="there is no kubeconfig /nowhere"):
        find_access("/nowhere")


# --- proxies ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def proxy() -> Iterator[TunnelProxy]:
    made = TunnelProxy("me", "p@ss:word")
    yield made
    made.close()


def test_a_proxy_of_the_cluster_makes_the_way(control_plane: ControlPlane, proxy: TunnelProxy, tmp_path: Path) -> None:
    access = control_plane.access()
    more: Object = {"certificate-authority": access.ca, "proxy-url": f"http://me:p%40ss%3Aword@127.0.0.1:{proxy.port}"}
    path = _write(tmp_path / "config", _entry(access.server, {"token": access.token}, **more))
    with closing(Api(find_access(path))) as api:
        assert api.server_version().text
        namespace = control_plane.namespace()
        version = api.list_pods(namespace, "").version
        with closing(api.watch_pods(namespace, "", version, 60)):
            pass
    assert proxy.tunnels == [access.server.removeprefix("https://")] * 2
    assert "p@ss" not in repr(api.access)


def test_a_proxy_that_refuses_is_named(control_plane: ControlPlane, proxy: TunnelProxy, tmp_path: Path) -> None:
    more: Object = {"proxy-url": f"http://127.0.0.1:{proxy.port}"}
    path = _write(tmp_path / "config", _entry(control_plane.access().server, **more))
    with closing(Api(find_access(path))) as api, pytest.raises(Unreachable) as lost:
        api.server_version()
    assert f"is not reached by the proxy 127.0.0.1:{proxy.port}: Tunnel connection failed: 407" in str(lost.value)


@pytest.mark.parametrize("url", ["socks5://user:hush@host:1", "https://user:hush@host", "http://"])
def test_a_proxy_of_another_kind_is_refused(tmp_path: Path, url: str) -> None:
    path = _write(tmp_path / "config", _entry("https://one", {}, **{"proxy-url": url}))
    with pytest.raises(SettingsError, match=r"proxy-url of cluster 'a' in .* Airloom takes http://HOST:PORT") as wrong:
        find_access(path)
    assert "hush" not in str(wrong.value)


@pytest.mark.parametrize(
    ("exceptions", "host", "goes_by_proxy"),
    [
        ("", "api.example", True),
        ("", "localhost", False),
        ("", "127.0.0.2", False),
        ("*", "api.example", False),
        ("example", "api.example", False),
        (".example", "api.example", False),
        ("*.example", "api.example", False),
        ("api.example:6443", "api.example", False),
        ("ample", "api.example", True),
        ("10.96.0.0/12, other", "10.96.0.1", False),
        ("10.96.0.0/12", "10.128.0.1", True),
        ("10.96.0.1", "10.96.0.1", False),
        ("10.96.0.10", "10.96.0.1", True),
        ("fd00::/8", "fd00::1", False),
        (",", "api.example", True),
    ],
)
def test_what_needs_no_proxy_is_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, exceptions: str, host: str, goes_by_proxy: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    found = proxy_for(Address(host=host, port=6443, secure=True))
    assert (found is not None and (found.host, found.port) == ("proxy.example", 3128)) == goes_by_proxy
    assert proxy_for(Address(host=host, port=80, secure=False)) is None
