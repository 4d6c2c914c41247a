"""The client of Kubernetes' API when things go wrong: lost connections, forgotten versions, answers that are odd."""

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from airloom.executors.kubernetes.client import api as client_api
from airloom.executors.kubernetes.client import connection as client_connection
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError, Gone, Uncertain, Unreachable, refusal
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.login import Shown
from airloom.executors.kubernetes.client.objects import POD, Object, Status, StatusCause, StatusDetails
from tests.kubernetes.api import Access
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.meddler import Meddler, creates_pods, watches
from tests.kubernetes.odd_servers import OddServer, make_answer
from tests.kubernetes.pods import make_pod
from tests.servers import free_port

_OURS = "app=ours"


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return control_plane.namespace()


@pytest.fixture
def api(control_plane: ControlPlane) -> Iterator[Api]:
    with closing(_api(control_plane.kubeconfig())) as made:
        yield made


@pytest.fixture
def meddler(control_plane: ControlPlane) -> Iterator[Meddler]:
    made = Meddler(control_plane)
    yield made
    made.close()


@pytest.fixture
def meddled(meddler: Meddler) -> Iterator[Api]:
    """A client whose requests pass through the meddler."""
    with closing(_api(meddler.kubeconfig())) as made:
        yield made


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Callable[..., tuple[Api, OddServer]]]:
    """Makes a server that gives these answers, and a client of it."""
    servers = []

    def make(*answers: bytes) -> tuple[Api, OddServer]:
        server = OddServer(*answers)
        servers.append(server)
        return _api(Access(server=server.url, token="abc").write(tmp_path / "config")), server

    yield make
    for server in servers:
        server.close()


def _api(kubeconfig: Path) -> Api:
    return Api(find_access(str(kubeconfig)))


def _pod(name: str = "p") -> Object:
    pod = make_pod(name, nodeName="nowhere")
    pod["metadata"]["labels"] = {"app": "ours"}
    return pod


# --- lost connections -------------------------------------------------------------------------------------------------
def test_kept_connections_that_a_restart_has_ended_are_no_error(
    api: Api, control_plane: ControlPlane, namespace: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: api.create_pod(namespace, _pod(f"p{number}")), range(20)))
    control_plane.restart()
    assert len(api.list_pods(namespace, _OURS).pods) == 20
    api.create_pod(namespace, _pod("another"))


def test_a_request_that_a_kept_connection_lost_is_sent_again(meddled: Api, meddler: Meddler, namespace: str) -> None:
    meddled.server_version()
    meddler.lose_requests(1)
    assert meddled.create_pod(namespace, _pod()).metadata.uid
    assert [creates_pods(*request) for request in meddler.requests] == [False, True, True]


def test_a_pod_whose_answer_a_kept_connection_lost_is_there_already(
    meddled: Api, meddler: Meddler, namespace: str
) -> None:
    meddled.server_version()
    meddler.lose_answers(1)
    with pytest.raises(ApiError, match="409 AlreadyExists"):
        meddled.create_pod(namespace, _pod())
    assert meddled.get_pod(namespace, "p")


@pytest.mark.parametrize("arrives", [False, True])
def test_nobody_knows_of_a_create_whose_new_connection_broke(
    meddled: Api, meddler: Meddler, namespace: str, arrives: bool
) -> None:
    (meddler.lose_answers if arrives else meddler.lose_requests)(1)
    with pytest.raises(Uncertain, match="is not reached: it has closed the connection"):
        meddled.create_pod(namespace, _pod())
    assert (meddled.get_pod(namespace, "p") is not None) == arrives


def test_a_read_whose_connection_broke_has_no_uncertain_end(meddled: Api, meddler: Meddler, namespace: str) -> None:
    meddler.lose_answers(2, lambda method, path: method == "GET")
    with pytest.raises(Unreachable) as lost:
        meddled.get_pod(namespace, "p")
    assert not isinstance(lost.value, Uncertain)


def test_a_server_that_is_down_is_named_and_may_have_got_what_a_kept_connection_sent(
    api: Api, control_plane: ControlPlane, namespace: str
) -> None:
    api.server_version()
    control_plane.kill()
    refused = re.escape(f"{control_plane.port} is not reached: Connection refused")
    with pytest.raises(Uncertain, match=refused):
        api.create_pod(namespace, _pod())
    with pytest.raises(Unreachable, match=refused) as lost:
        api.create_pod(namespace, _pod())
    assert not isinstance(lost.value, Uncertain)
    with pytest.raises(Unreachable, match=refused):
        api.watch_pods(namespace, _OURS, "1", 60)


def test_a_server_that_is_silent_is_given_up(
    api: Api, control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "_ANSWER", 0.3)
    api.server_version()
    control_plane.server.freeze()
    try:
        with pytest.raises(Uncertain, match="it does not answer in time"):
            api.create_pod(namespace, _pod())
        monkeypatch.setattr(client_connection, "_CONNECT", 0.3)
        with pytest.raises(Unreachable, match="it does not answer in time"):
            api.get_pod(namespace, "p")
    finally:
        control_plane.server.thaw()


def test_a_name_that_is_not_known_is_an_answer_for_people(tmp_path: Path) -> None:
    api = _api(Access(server="https://no-such-host.invalid").write(tmp_path / "config"))
    with pytest.raises(
        Unreachable, match=r"the API server https://no-such-host\.invalid:443 is not reached: .*(name|Name)"
    ):
        api.server_version()


def test_many_threads_lose_nothing_while_connections_break(meddled: Api, meddler: Meddler, namespace: str) -> None:
    requests = meddler.lose_requests(7)
    answers = meddler.lose_answers(7)
    refused = meddler.answer(429, 7)

    def create(number: int) -> None:
        while True:
            try:
                meddled.create_pod(namespace, _pod(f"p{number}"))
                return
            except Uncertain:
                continue
            except ApiError as error:
                if error.code == 409:
                    return
                assert (error.code, error.retry_after) == (429, 1.0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(60)))
    assert requests.left == answers.left == refused.left == 0
    listed = meddled.list_pods(namespace, _OURS).pods
    assert {pod.metadata.name for pod in listed} == {f"p{number}" for number in range(60)}


def test_a_connection_notices_by_itself_that_its_other_end_is_gone(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    api, _ = odd(make_answer("200 OK"))
    connection = client_connection._Connection(api.access, None, Shown())
    connection.connect()
    options = (socket.SO_KEEPALIVE, socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT)
    levels = (socket.SOL_SOCKET, socket.IPPROTO_TCP, socket.IPPROTO_TCP)
    assert [connection.sock.getsockopt(*pair) for pair in zip(levels, options, strict=True)] == [1, 30, 60_000]
    connection.close()


# --- watches ----------------------------------------------------------------------------------------------------------
def test_a_watch_that_is_cut_says_so_and_another_goes_on_without_a_gap(
    meddled: Api, meddler: Meddler, namespace: str
) -> None:
    version = meddled.list_pods(namespace, _OURS).version
    wanted = [f"p{number}" for number in range(30)]
    seen: list[str] = []

    def make() -> None:
        with closing(_api(meddler.plane.kubeconfig())) as api:
            for name in wanted:
                api.create_pod(namespace, _pod(name))
                meddler.cut_watches()

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make)
        cuts = 0
        while len(seen) < len(wanted):
            try:
                for watched in meddled.watch_pods(namespace, _OURS, version, 60):
                    version = watched.version
                    if watched.pod:
                        seen.append(watched.pod.metadata.name)
                    if len(seen) == len(wanted):
                        break
            except Unreachable as error:
                cuts += 1
                assert "cut" in str(error) or "not reached" in str(error)
        making.result()
    assert seen == wanted
    assert cuts


def test_a_watch_that_is_silent_for_too_long_ends(api: Api, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_api, "_SILENCE", 0.2)
    assert list(api.watch_pods(namespace, _OURS, api.list_pods(namespace, _OURS).version, 60)) == []


def test_a_watch_closed_before_it_is_read_is_over(api: Api, namespace: str) -> None:
    watch = api.watch_pods(namespace, _OURS, api.list_pods(namespace, _OURS).version, 60)
    watch.close()
    assert list(watch) == []


@pytest.mark.parametrize(
    "line",
    ['{"type": "ADDED"', '{"type": "ADDED", "object": {"metadata": 7}}', "<html>", '{"type": "ERROR", "object": 7}'],
)
def test_a_watch_that_says_what_is_no_event_is_an_error(odd: Callable[..., tuple[Api, OddServer]], line: str) -> None:
    listed = make_answer("200 OK", '{"metadata": {"resourceVersion": "9"}, "items": []}')
    api, _ = odd(listed, make_answer("200 OK", f"{line}\n"))
    with pytest.raises(Unreachable, match="no event"):
        list(api.watch_pods("n", _OURS, "1", 60))


def test_a_watch_whose_last_line_is_not_whole_does_not_tell_it(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    listed = make_answer("200 OK", '{"metadata": {"resourceVersion": "9"}, "items": []}')
    line = '{"type":"ADDED","object":{"metadata":{"name":"p","resourceVersion":"2"}}}'
    api, _ = odd(listed, make_answer("200 OK", f"{line}\n{line}"))
    assert [watched.version for watched in api.watch_pods("n", _OURS, "1", 60)] == ["2"]


def test_an_error_that_a_watch_tells_has_its_code(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    listed = make_answer("200 OK", '{"metadata": {"resourceVersion": "9"}, "items": []}')
    status = '{"kind":"Status","status":"Failure","code":500,"message":"etcdserver: leader changed"}'
    api, _ = odd(listed, make_answer("200 OK", f'{{"type":"ERROR","object":{status}}}\n'))
    with pytest.raises(ApiError, match="leader changed") as failed:
        list(api.watch_pods("n", _OURS, "1", 60))
    assert (failed.value.code, type(failed.value)) == (500, ApiError)


# --- forgotten versions -----------------------------------------------------------------------------------------------
def test_a_watch_from_a_forgotten_version_is_gone(forgetful_plane: ControlPlane) -> None:
    namespace, api = forgetful_plane.namespace(), _api(forgetful_plane.kubeconfig())
    version = api.list_pods(namespace, _OURS).version
    api.create_pod(namespace, _pod())
    forgetful_plane.compact()
    with pytest.raises(Gone, match="410"):
        list(api.watch_pods(namespace, _OURS, version, 60))
    assert len(api.list_pods(namespace, _OURS).pods) == 1


def test_a_watch_that_is_refused_as_gone_is_gone(meddled: Api, meddler: Meddler, namespace: str) -> None:
    version = meddled.list_pods(namespace, _OURS).version
    meddler.answer(410, 1, watches)
    with pytest.raises(Gone):
        meddled.watch_pods(namespace, _OURS, version, 60)


def test_a_list_whose_next_page_is_forgotten_is_begun_again(
    forgetful_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_api, "_PAGE", 2)
    namespace = forgetful_plane.namespace()
    with closing(_api(forgetful_plane.kubeconfig())) as api:
        for number in range(5):
            api.create_pod(namespace, _pod(f"p{number}"))
    forgotten: list[str] = []

    def forget_once(method: str, path: str) -> bool:
        if "continue=" in path and not forgotten:
            forgotten.append(forgetful_plane.compact())
        return False

    meddler = Meddler(forgetful_plane)
    meddler.answer(500, 1, forget_once)
    with closing(_api(meddler.kubeconfig())) as api:
        listed = api.list_pods(namespace, _OURS)
    assert forgotten
    assert sorted(pod.metadata.name for pod in listed.pods) == [f"p{number}" for number in range(5)]
    assert int(listed.version) >= int(forgotten[0])
    meddler.close()


def test_a_list_that_is_forgotten_each_time_is_given_up(meddled: Api, meddler: Meddler, namespace: str) -> None:
    meddler.answer(410, 100, lambda method, path: "labelSelector" in path)
    with pytest.raises(Gone):
        meddled.list_pods(namespace, _OURS)
    assert len(meddler.requests) == 3


@pytest.mark.parametrize(
    "status",
    [
        Status(code=410, reason="Expired", message="too old resource version: 1 (124723)"),
        Status(code=410, reason="Gone", message="The resourceVersion for the provided watch is too old."),
        Status(code=500, message="etcdserver: mvcc: required revision has been compacted"),
        Status(
            code=504,
            reason="Timeout",
            message="Timeout: Too large resource version: 999999999, current: 124723",
            details=StatusDetails(causes=(StatusCause(reason="ResourceVersionTooLarge"),)),
        ),
    ],
)
def test_all_ways_to_say_that_a_version_is_not_known_are_one(status: Status) -> None:
    assert isinstance(refusal(status), Gone)


# --- odd answers ------------------------------------------------------------------------------------------------------
def test_a_storm_is_told_with_its_pause_however_it_is_said(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    plain = make_answer("429 Too Many Requests", "Too many requests, please try again later.\n", "Retry-After: 3")
    details = '{"kind":"Status","code":429,"reason":"TooManyRequests","details":{"retryAfterSeconds":7}}'
    api, _ = odd(plain, make_answer("429 Too Many Requests", details))
    with pytest.raises(ApiError, match="please try again later") as refused:
        api.create_pod("n", _pod())
    assert (refused.value.code, refused.value.retry_after) == (429, 3.0)
    with pytest.raises(ApiError, match="429 TooManyRequests") as refused:
        api.create_pod("n", _pod())
    assert refused.value.retry_after == 7.0


@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request", "403 Forbidden", "302 Found"])
def test_what_no_api_server_has_said_is_no_refusal(odd: Callable[..., tuple[Api, OddServer]], status: str) -> None:
    api, _ = odd(make_answer(status, "<html>\n  default   backend</html>"))
    for ask in (lambda: api.get_pod("n", "p"), lambda: api.delete_pod("n", "p"), lambda: api.list_pods("n", "")):
        with pytest.raises(
            Unreachable, match=f"answers {status[:3]}, and not as an API server does: <html> default ba"
        ):
            ask()


def test_a_pod_is_missing_only_if_the_server_says_so_of_pods(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    body = '{"kind":"Status","code":404,"reason":"NotFound","message":"the server could not find it","details":{}}'
    api, _ = odd(make_answer("404 Not Found", body))
    with pytest.raises(ApiError, match="could not find it"):
        api.get_pod("n", "p")
    with pytest.raises(ApiError, match="could not find it"):
        api.delete_pod("n", "p")


@pytest.mark.parametrize("body", ["{}", "<html>", "[]", '{"items": [], "kind": "PodList"}', ""])
def test_what_is_no_list_is_not_taken_for_an_empty_one(odd: Callable[..., tuple[Api, OddServer]], body: str) -> None:
    api, _ = odd(make_answer("200 OK", body))
    with pytest.raises(Unreachable, match="does not answer as an API server does"):
        api.list_pods("n", "")


def test_a_gateway_that_fails_is_a_server_that_fails(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    api, _ = odd(make_answer("502 Bad Gateway", "upstream is away"))
    with pytest.raises(ApiError, match=r"upstream is away \(502 Bad Gateway\)"):
        api.list_pods("n", "")


def test_an_answer_that_is_cut_is_not_read_as_a_whole(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    whole = make_answer("200 OK", '{"metadata": {"resourceVersion": "9"}, "items": []}', "Connection: close")
    api, _ = odd(whole[:-5])
    with pytest.raises(Unreachable, match="it has closed the connection"):
        api.list_pods("n", "")


def test_names_cannot_leave_their_place_in_a_path(odd: Callable[..., tuple[Api, OddServer]]) -> None:
    api, server = odd(make_answer("200 OK", '{"metadata": {"name": "x"}}'))
    api.get_pod("a/b", "../c?d")
    assert server.asked[0][0] == "GET /api/v1/namespaces/a%2Fb/pods/..%2Fc%3Fd"
    assert server.asked[0][1]["Authorization"] == "Bearer abc"


def test_threads_that_read_at_once_for_the_first_time_do_no_harm() -> None:
    data = msgspec.json.encode({"metadata": {"name": "x"}, "status": {"conditions": [{"type": "Ready"}]}})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: POD.decode(data), range(400)))
    assert {pod.status.conditions[0].type for pod in found} == {"Ready"}


def test_a_server_without_tls_where_tls_is_meant_is_told(
    odd: Callable[..., tuple[Api, OddServer]], tmp_path: Path
) -> None:
    _, server = odd(make_answer("200 OK"))
    api = _api(Access(server=server.url.replace("http:", "https:")).write(tmp_path / "other"))
    with pytest.raises(Unreachable, match="see whether https:// is right"):
        api.server_version()
    nobody = _api(Access(server=f"http://127.0.0.1:{free_port()}").write(tmp_path / "nobody"))
    with pytest.raises(Unreachable, match="Connection refused"):
        nobody.server_version()
