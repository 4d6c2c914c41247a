"""Who the client is to a real API server: tokens, certificates and login programs, as they are replaced and refused."""

import base64
import datetime
import sys
import time
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airloom.executors.kubernetes.client import access as client_access
from airloom.executors.kubernetes.client import login as client_login
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError, Unreachable
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.login import StoredLogin
from tests.kubernetes.api import Object
from tests.kubernetes.control_plane import ControlPlane
from tests.waiting import wait_for, wait_for_end

_WHO = "system:serviceaccount:"
_VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
def plane(control_plane: ControlPlane) -> ControlPlane:
    return control_plane


class Config:
    """Writes kubeconfigs of a cluster. Returns clients of them."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.path = folder / "config"

    def client(self, user: Object, **cluster: object) -> Api:
        """A client as `user`. cluster: what is different of the cluster."""
        access = self.plane.access()
        whole = {"server": access.server, "certificate-authority": access.ca, **cluster}
        self.path.write_bytes(
            msgspec.json.encode(
                {
                    "current-context": "here",
                    "clusters": [{"name": "c", "cluster": {key: value for key, value in whole.items() if value}}],
                    "users": [{"name": "u", "user": user}],
                    "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        return Api(find_access(str(self.path)))


@pytest.fixture
def config(plane: ControlPlane, tmp_path: Path) -> Config:
    return Config(plane, tmp_path)


def _refused(api: Api) -> ApiError:
    """What a server says to whoever may do nothing there."""
    with pytest.raises(ApiError) as refused:
        api.list_pods("default", "")
    return refused.value


# --- tokens -----------------------------------------------------------------------------------------------------------
def test_a_token_that_is_not_accepted_is_named_and_not_shown(config: Config) -> None:
    refused = _refused(config.client({"token": "hush-hush"}))
    assert (refused.code, refused.reason) == (401, "Unauthorized")
    assert f"does not accept the login of user 'u' in {config.path}" in str(refused)
    assert "hush" not in str(refused)


def test_no_login_at_all_is_that_of_nobody(config: Config) -> None:
    assert 'User "system:anonymous"' in _refused(config.client({})).message


def test_a_token_in_a_file_is_read_again_when_the_server_refuses_it(config: Config, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("stale")
    # The file counts before a token beside it.
    api = config.client({"token": "bob-token", "tokenFile": "token"})
    assert _refused(api).code == 401
    token.write_text("alice-token\n")
    assert 'User "alice"' in _refused(api).message


def test_a_token_in_a_file_is_read_again_after_a_minute(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("alice-token")
    api = config.client({"tokenFile": "token"})
    assert 'User "alice"' in _refused(api).message
    token.write_text("bob-token")
    assert 'User "alice"' in _refused(api).message
    # As if a minute had passed.
    monkeypatch.setattr(client_login, "_STALE", 0.0)
    assert 'User "bob"' in _refused(api).message
    # Between two versions there may be none for a moment.
    token.unlink()
    assert 'User "bob"' in _refused(api).message


def test_a_token_that_cannot_be_read_is_named(config: Config, tmp_path: Path) -> None:
    api = config.client({"tokenFile": "nowhere"})
    with pytest.raises(Unreachable, match=r"the login of user 'u' in .* cannot be read: .*nowhere"):
        api.server_version()


@pytest.mark.parametrize("token", ["hush hush", "hush\nhush", "hush\u00e4"])
def test_what_can_be_no_token_is_told_and_not_shown(config: Config, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    with pytest.raises(Unreachable, match="cannot be read: it is no token") as wrong:
        config.client({"tokenFile": "token"}).server_version()
    assert "hush" not in str(wrong.value)


def test_in_a_pod_the_service_account_is_taken(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = plane.namespace()
    (tmp_path / "token").write_text(plane.as_service_account(namespace, "ours").token)
    (tmp_path / "ca.crt").write_bytes(Path(plane.access().ca).read_bytes())
    (tmp_path / "namespace").write_text(namespace)
    monkeypatch.setattr(client_access, "_ACCOUNT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", plane.host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(plane.port))
    access = find_access()
    assert access.namespace == namespace
    assert f'User "{_WHO}{namespace}:ours"' in _refused(Api(access)).message


# --- certificates -----------------------------------------------------------------------------------------------------
def _certificate(plane: ControlPlane, name: str, password: bytes = b"") -> tuple[bytes, bytes]:
    """A certificate of a user that the cluster's authority signed, and its key."""
    authority = x509.load_pem_x509_certificate((plane.folder / "ca.crt").read_bytes())
    signer = serialization.load_pem_private_key((plane.folder / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(authority.subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
    signed = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secrecy = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return signed, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secrecy)


def _inline(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_certificate_within_the_kubeconfig_says_who_we_are(config: Config, plane: ControlPlane) -> None:
    certificate, key = _certificate(plane, "carol")
    user = {"client-certificate-data": _inline(certificate), "client-key-data": _inline(key)}
    authority = _inline(Path(plane.access().ca).read_bytes())
    cluster = {"certificate-authority": None, "certificate-authority-data": authority}
    assert 'User "carol"' in _refused(config.client(user, **cluster)).message


def test_a_certificate_in_files_is_taken_when_it_was_replaced(
    config: Config, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(name: str) -> None:
        for file, content in zip(("my.crt", "my.key"), _certificate(plane, name), strict=True):
            (tmp_path / file).write_bytes(content)

    write("carol")
    api = config.client({"client-certificate": "my.crt", "client-key": "my.key"})
    assert 'User "carol"' in _refused(api).message
    write("dave")
    # The connection that was made with the old one still counts as carol's.
    assert 'User "carol"' in _refused(api).message
    # As if a minute had passed.
    monkeypatch.setattr(client_login, "_STALE", 0.0)
    assert 'User "dave"' in _refused(api).message


def test_a_key_with_a_password_is_refused_without_asking_anybody(config: Config, plane: ControlPlane) -> None:
    certificate, key = _certificate(plane, "carol", b"secret")
    api = config.client({"client-certificate-data": _inline(certificate), "client-key-data": _inline(key)})
    with pytest.raises(Unreachable, match="the client's certificate or its key cannot be used"):
        api.server_version()


def test_a_server_of_another_authority_is_not_trusted_until_the_file_is_replaced(
    config: Config, plane: ControlPlane, tmp_path: Path
) -> None:
    authorities = tmp_path / "ca.crt"
    authorities.write_bytes((plane.folder / "kubelet.crt").read_bytes())
    api = config.client({"token": "alice-token"}, **{"certificate-authority": "ca.crt"})
    with pytest.raises(Unreachable, match=r"its certificate is not trusted .*: see certificate-authority"):
        api.server_version()
    authorities.write_bytes(Path(plane.access().ca).read_bytes())
    assert api.server_version().text
    authorities.write_text("nonsense")
    api.close()
    api = config.client({"token": "alice-token"}, **{"certificate-authority": "ca.crt"})
    with pytest.raises(Unreachable, match="the certificates to trust cannot be used"):
        api.server_version()
    authorities.unlink()
    with pytest.raises(Unreachable, match=r"the certificates to trust in .* cannot be read"):
        api.server_version()


def test_anybody_is_trusted_where_that_is_wanted(config: Config, plane: ControlPlane) -> None:
    lax = {"certificate-authority": None, "insecure-skip-tls-verify": True}
    assert config.client({}, **lax).server_version().text


def test_the_server_may_have_another_name_in_its_certificate(config: Config) -> None:
    assert config.client({}, **{"tls-server-name": "kubernetes.default.svc"}).server_version().text
    with pytest.raises(Unreachable, match=r"not trusted .*wrong\.example.*tls-server-name"):
        config.client({}, **{"tls-server-name": "wrong.example"}).server_version()


# --- other ways -------------------------------------------------------------------------------------------------------
def test_somebody_may_act_as_somebody_else(config: Config, plane: ControlPlane) -> None:
    user = {"token": "admin-token", "as": "alice", "as-groups": ["one", "two"], "as-user-extra": {"why": ["a", "b"]}}
    namespace = plane.namespace()
    rule: Object = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
    plane.grant(namespace, {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "two"}, [rule])
    api = config.client(user)
    assert 'User "alice"' in _refused(api).message
    wait_for(lambda: api.may("list", "pods", namespace), "the right of the second group")


def test_a_password_is_shown_as_such() -> None:
    access = StoredLogin("a password", authorization=client_login.basic("me", "hush:hush")).shown()
    assert access.authorization == "Basic " + base64.b64encode(b"me:hush:hush").decode()
    assert "Basic" not in repr(access)


# --- login programs ---------------------------------------------------------------------------------------------------
class Program:
    """A login program as kubeconfigs name them: it does what the body of a Python script says, and counts its runs."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self.log = folder / "runs"
        self._path = folder / "give token"
        self.answer = folder / "answer"

    def client(self, body: str = "print(open('{answer}').read())", **more: object) -> Api:
        """A client that logs in by it."""
        lines = [f"#!{sys.executable}", "import json, os, sys, time", f"open('{self.log}', 'a').write('.')"]
        self._path.write_text("\n".join([*lines, body.replace("{answer}", str(self.answer))]))
        self._path.chmod(0o755)
        return self._config.client({"exec": {"apiVersion": _VERSION, "command": "./give token", "env": None, **more}})

    def give(self, token: str = "", version: str = _VERSION, seconds: float = 3600.0, **status: str) -> None:
        """What it gives from now on, for so many seconds."""
        ends = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)
        status |= {"token": token} if token else {}
        status["expirationTimestamp"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.answer.write_bytes(
            msgspec.json.encode({"apiVersion": version, "kind": "ExecCredential", "status": status})
        )

    @property
    def runs(self) -> int:
        return len(self.log.read_text()) if self.log.exists() else 0


@pytest.fixture
def program(config: Config, tmp_path: Path) -> Program:
    return Program(config, tmp_path)


def test_a_program_is_run_once_for_as_long_as_its_token_lives(program: Program) -> None:
    program.give("alice-token")
    api = program.client()
    for _ in range(3):
        assert 'User "alice"' in _refused(api).message
    assert program.runs == 1


def test_a_program_is_run_again_before_its_token_ends(program: Program) -> None:
    program.give("alice-token", seconds=-1)
    api = program.client()
    assert 'User "alice"' in _refused(api).message
    program.give("bob-token")
    assert 'User "bob"' in _refused(api).message
    assert 'User "bob"' in _refused(api).message
    assert program.runs == 2


def test_a_token_is_used_to_its_end_when_the_program_fails_meanwhile(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Renewed at once, though it has 30 seconds to live.
    monkeypatch.setattr(client_login, "_MARGIN", 60.0)
    monkeypatch.setattr(client_login, "_SHARE", 0.0)
    program.give("alice-token", seconds=30)
    api = program.client()
    assert 'User "alice"' in _refused(api).message
    program.answer.unlink()
    assert 'User "alice"' in _refused(api).message
    assert program.runs == 2


def test_a_program_is_run_again_when_the_server_refuses_what_it_gave_but_not_each_time(program: Program) -> None:
    program.give("stale")
    api = program.client()
    refused = _refused(api)
    assert refused.code == 401
    assert "does not accept the login program give token" in str(refused)
    assert program.runs == 2
    # Nobody runs it without end for an identity that is gone.
    assert _refused(api).code == 401
    assert program.runs == 2


def test_what_the_server_refuses_is_replaced_within_the_same_request(program: Program) -> None:
    program.give("TOKEN")
    token = f"'stale' if os.path.getsize('{program.log}') == 1 else 'alice-token'"
    api = program.client(f"print(open('{{answer}}').read().replace('TOKEN', {token}))")
    assert 'User "alice"' in _refused(api).message
    assert program.runs == 2


def test_a_program_may_give_a_certificate(program: Program, plane: ControlPlane) -> None:
    certificate, key = _certificate(plane, "carol")
    program.give(clientCertificateData=certificate.decode(), clientKeyData=key.decode())
    assert 'User "carol"' in _refused(program.client()).message


def test_a_program_is_told_what_kubectl_tells_it(program: Program, plane: ControlPlane, tmp_path: Path) -> None:
    program.give("alice-token")
    told = tmp_path / "told"
    what = "[sys.argv[1:], os.environ['EXTRA'], os.environ['KUBERNETES_EXEC_INFO']]"
    keep = f"open('{told}', 'w').write(json.dumps({what}))"
    env = [{"name": "EXTRA", "value": "yes"}]
    body = f"{keep}\nprint(open('{{answer}}').read())"
    _refused(program.client(body, args=["--region", "x"], env=env, provideClusterInfo=True))
    arguments, extra, info = msgspec.json.decode(told.read_bytes())
    assert (arguments, extra) == (["--region", "x"], "yes")
    spec = msgspec.json.decode(info)["spec"]
    assert msgspec.json.decode(info)["apiVersion"] == _VERSION
    assert spec["interactive"] is False
    assert spec["cluster"]["server"] == plane.access().server
    assert base64.b64decode(spec["cluster"]["certificate-authority-data"]) == Path(plane.access().ca).read_bytes()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('first', file=sys.stderr); sys.exit('no session: log in')", "failed with 1: no session: log in"),
        ("sys.exit(3)", "failed with 3: it says nothing"),
        ("print('{')", "gives no ExecCredential"),
        ("print('{}')", "answers with nothing of no version, and the kubeconfig asks it for ExecCredential of"),
        (
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': 'client.authentication.k8s.io/v1beta1'}))",
            "answers with ExecCredential of client.authentication.k8s.io/v1beta1, and",
        ),
        (
            f"print(json.dumps({{'kind': 'ExecCredential', 'apiVersion': '{_VERSION}', 'status': {{}}}}))",
            "gives neither a token nor a certificate",
        ),
        (
            f"print(json.dumps(dict(kind='ExecCredential', apiVersion='{_VERSION}', status=dict(token='a b'))))",
            "gives a token that cannot be used",
        ),
    ],
)
def test_a_program_that_gives_nothing_is_a_reason_for_people(program: Program, body: str, words: str) -> None:
    api = program.client(body)
    with pytest.raises(Unreachable, match=words):
        api.server_version()
    # Others who wait are told the same at once.
    with pytest.raises(Unreachable, match=words):
        api.server_version()
    assert program.runs == 1


def test_a_program_that_hangs_is_ended_with_all_that_it_started(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_login, "_PATIENCE", 2.0)
    child = tmp_path / "child"
    api = program.client(f"pid = os.fork()\nif pid: open('{child}', 'w').write(str(pid))\ntime.sleep(1000)")
    with pytest.raises(Unreachable, match="gave no answer for 2 seconds"):
        api.server_version()
    wait_for_end(int(child.read_text()))


def test_a_program_that_is_not_there_is_named_with_how_to_get_it(config: Config) -> None:
    user = {"exec": {"apiVersion": _VERSION, "command": "no-such-program", "installHint": "get it from the shop"}}
    with pytest.raises(Unreachable, match=r"no-such-program cannot be started: .*\(get it from the shop\)"):
        config.client(user).server_version()


def test_nothing_that_is_secret_is_shown_with_an_access(config: Config, program: Program) -> None:
    for api in (config.client({"token": "hush-hush"}), config.client({"username": "me", "password": "hush-hush"})):
        assert "hush" not in repr(api.access)
        assert "hush" not in repr(api.access.login.shown())
