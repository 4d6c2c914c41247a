"""The proxy before an API server: what it passes on, what it refuses, what it loses."""

from collections.abc import Iterator

import pytest

from tests.kubernetes.api import Api, Refused, pods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.meddler import Meddler
from tests.kubernetes.pods import make_pod
from tests.waiting import wait_for


@pytest.fixture
def meddler(control_plane: ControlPlane) -> Iterator[Meddler]:
    made = Meddler(control_plane)
    yield made
    made.close()


@pytest.fixture
def api(meddler: Meddler) -> Api:
    return Api(meddler.access())


def test_what_no_rule_is_for_is_passed_on(api: Api, meddler: Meddler, namespace: str) -> None:
    api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    assert api.get(pods(namespace, "p")) == meddler.plane.api.get(pods(namespace, "p"))
    with pytest.raises(Refused, match="409 AlreadyExists"):
        api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    assert meddler.requests[0] == ("POST", pods(namespace))


def test_a_watch_is_passed_on_as_it_comes_until_it_is_cut(api: Api, meddler: Meddler, namespace: str) -> None:
    watch = api.watch(pods(namespace), meddler.plane.version())
    meddler.plane.api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    events = iter(watch)
    assert next(events)[1]["metadata"]["name"] == "p"
    assert meddler.cut_watches() == 1
    assert list(events) == []


def test_so_many_requests_are_refused_and_the_next_is_not(api: Api, meddler: Meddler, namespace: str) -> None:
    meddler.answer(429, 2)
    for _ in range(2):
        with pytest.raises(Refused, match="429 TooManyRequests"):
            api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    assert meddler.plane.api.get(pods(namespace))["items"] == []
    api.create(pods(namespace), make_pod("p", nodeName="nowhere"))


def test_a_lost_request_never_arrives(api: Api, meddler: Meddler, namespace: str) -> None:
    meddler.lose_requests(1)
    with pytest.raises(ConnectionError):
        api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    assert meddler.plane.api.get(pods(namespace))["items"] == []


def test_a_request_whose_answer_is_lost_was_obeyed(api: Api, meddler: Meddler, namespace: str) -> None:
    meddler.lose_answers(1)
    with pytest.raises(ConnectionError):
        api.create(pods(namespace), make_pod("p", nodeName="nowhere"))
    assert wait_for(lambda: meddler.plane.api.find(pods(namespace, "p")), "the pod")
