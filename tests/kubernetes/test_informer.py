"""Following the pods of a namespace, whatever becomes of watches, of the server's memory, and of the server."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.objects import Pod
from airloom.executors.kubernetes.informer import Informer
from airloom.executors.kubernetes.pods import Place
from tests.kubernetes.api import Object, pods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.meddler import Meddler, watches
from tests.kubernetes.pods import make_pod
from tests.waiting import DEADLINE, wait_for

_OURS = {"app": "ours"}


class Follower:
    """Knows the pods by what it is told: each with its labels."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, str]] = {}
        self.trouble = "nothing is told yet"
        self.troubles: list[str] = []
        self.lists = 0
        self.events: list[tuple[str, str]] = []

    def listed(self, place: Place, pods: Iterable[Pod], began: float) -> None:
        self.lists += 1
        self.pods = {pod.metadata.name: pod.metadata.labels for pod in pods}

    def changed(self, place: Place, pod: Pod) -> None:
        self.events.append(("changed", pod.metadata.name))
        self.pods[pod.metadata.name] = pod.metadata.labels

    def deleted(self, place: Place, pod: Pod) -> None:
        self.events.append(("deleted", pod.metadata.name))
        self.pods.pop(pod.metadata.name, None)

    def watching(self, place: Place, trouble: str) -> None:
        self.troubles.append(trouble)
        self.trouble = trouble


class Field:
    """A namespace of a plane, and followers of it."""

    def __init__(self, plane: ControlPlane, stack: ExitStack) -> None:
        self.plane = plane
        self.namespace = plane.namespace()
        self._stack = stack
        self._numbers = iter(range(1_000_000))

    def follow(self, kubeconfig: Path) -> Follower:
        """Follow the pods, through what the kubeconfig names."""
        api = self._stack.enter_context(closing(Api(find_access(str(kubeconfig)))))
        follower = Follower()
        place = Place(cluster="default", namespace=self.namespace)
        informer = Informer(api, place, "app=ours", follower)
        informer.start()

        def end() -> None:
            informer.close()
            informer.join(DEADLINE)
            assert not informer._thread.is_alive(), "an informer ends when it is closed"

        self._stack.callback(end)
        return follower

    def create(self, count: int = 1) -> list[str]:
        """Make pods."""
        names = [f"p{next(self._numbers)}" for _ in range(count)]
        for name in names:
            pod = make_pod(name)
            pod["metadata"]["labels"] = _OURS
            self.plane.api.create(pods(self.namespace), pod)
        return names

    def label(self, name: str, text: str) -> None:
        """Change a pod."""
        self.plane.api.patch(pods(self.namespace, name), {"metadata": {"labels": {"text": text}}})

    def delete(self, *names: str) -> None:
        """Delete pods: nothing runs here, so they are gone at once."""
        for name in names:
            self.plane.api.delete(pods(self.namespace, name), grace=0)

    def truth(self) -> dict[str, dict[str, str]]:
        """The pods that are there."""
        items: list[Object] = self.plane.api.get(pods(self.namespace), labelSelector="app=ours")["items"]
        return {pod["metadata"]["name"]: pod["metadata"].get("labels", {}) for pod in items}

    def catch_up(self, follower: Follower) -> None:
        """Wait until the follower knows what is there."""
        wait_for(lambda: follower.pods == self.truth(), "the follower to know all pods")


@pytest.fixture
def make_field() -> Iterator[Callable[[ControlPlane], Field]]:
    with ExitStack() as stack:
        yield lambda plane: Field(plane, stack)


@pytest.fixture
def field(control_plane: ControlPlane, make_field: Any) -> Field:
    made: Field = make_field(control_plane)
    return made


@pytest.fixture
def meddler(control_plane: ControlPlane) -> Iterator[Meddler]:
    made = Meddler(control_plane)
    yield made
    made.close()


def test_pods_that_are_there_come_change_and_go(field: Field) -> None:
    first, second = field.create(2)
    follower = field.follow(field.plane.kubeconfig())
    wait_for(lambda: follower.pods.keys() == {first, second}, "the list")
    third = field.create()[0]
    field.label(first, "new")
    field.delete(second)
    field.catch_up(follower)
    assert follower.pods == {first: {**_OURS, "text": "new"}, third: _OURS}
    assert follower.lists == 1
    assert follower.trouble == ""


def test_pods_of_others_are_not_told(field: Field) -> None:
    follower = field.follow(field.plane.kubeconfig())
    wait_for(lambda: follower.lists, "the list")
    field.plane.api.create(pods(field.namespace), make_pod("theirs"))
    field.create()
    field.catch_up(follower)
    assert "theirs" not in {name for _, name in follower.events}


def test_no_event_is_lost_when_watches_are_cut_again_and_again(field: Field, meddler: Meddler) -> None:
    follower = field.follow(meddler.kubeconfig())
    wait_for(lambda: follower.lists, "the list")
    names: list[str] = []
    for turn in range(8):
        names += field.create(3)
        field.delete(names.pop(0))
        field.label(names[0], f"turn{turn}")
        meddler.cut_watches()
    field.catch_up(follower)
    deleted = [name for what, name in follower.events if what == "deleted"]
    assert len(deleted) == len(set(deleted)) == 8
    assert follower.lists == 1, "what a watch has not told the next one tells"


def test_what_the_server_forgot_shows_in_a_new_list(
    forgetful_plane: ControlPlane, make_field: Callable[[ControlPlane], Field]
) -> None:
    field = make_field(forgetful_plane)
    with closing(Meddler(forgetful_plane)) as meddler:
        stays, goes = field.create(2)
        follower = field.follow(meddler.kubeconfig())
        field.catch_up(follower)
        wait_for(lambda: follower.trouble == "", "the watch")
        blocked = meddler.answer(500, 2, watches)
        meddler.cut_watches()
        field.delete(goes)
        field.label(stays, "meanwhile")
        field.create()
        forgetful_plane.compact()
        field.catch_up(follower)
        wait_for(lambda: blocked.left == 0 and follower.trouble == "", "watches again")
        assert follower.lists == 2
        field.create()
        field.catch_up(follower)


def test_a_server_that_dies_and_comes_back_is_followed_again(field: Field) -> None:
    follower = field.follow(field.plane.kubeconfig())
    names = field.create(2)
    field.catch_up(follower)
    field.plane.kill()
    wait_for(lambda: "is not reached" in follower.trouble, "the trouble to be told")
    field.plane.start()
    field.delete(names[0])
    field.create()
    field.catch_up(follower)
    wait_for(lambda: follower.trouble == "", "the trouble to be over")


def test_a_right_that_is_missing_is_told_and_asked_for_again(field: Field) -> None:
    cluster = field.plane
    follower = field.follow(cluster.kubeconfig("bob"))
    wait_for(lambda: "cannot list resource" in follower.trouble, "the refusal")
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
    cluster.grant(field.namespace, cluster.subject("bob"), [rule])
    field.create()
    field.catch_up(follower)
    wait_for(lambda: follower.trouble == "", "the watch")


def test_a_server_that_refuses_every_watch_is_not_asked_without_end(field: Field, meddler: Meddler) -> None:
    meddler.answer(500, 1_000_000, watches)
    began = time.monotonic()
    field.follow(meddler.kubeconfig())
    wait_for(lambda: sum(watches(*request) for request in meddler.requests) >= 7, "attempts")
    # 0.1 s, doubled each time, of which half is by chance.
    assert time.monotonic() - began >= sum(0.05 * 2**times for times in range(1, 6))


def test_watches_that_end_at_once_are_not_asked_for_without_end(field: Field, meddler: Meddler) -> None:
    meddler.lose_requests(1_000_000, watches)
    began = time.monotonic()
    field.follow(meddler.kubeconfig())
    wait_for(lambda: sum(watches(*request) for request in meddler.requests) >= 7, "attempts")
    assert time.monotonic() - began >= sum(0.05 * 2**times for times in range(1, 6))


def test_what_a_listener_fails_at_is_told_again(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airloom.executors.kubernetes.informer._LONGEST_PAUSE", 0.1)
    follower = field.follow(field.plane.kubeconfig())
    wait_for(lambda: follower.lists, "the list")
    fails = [True]
    changed = follower.changed

    def failing(place: Place, pod: Pod) -> None:
        if fails.pop() if fails else False:
            raise ValueError("a defect")
        changed(place, pod)

    follower.changed = failing  # type: ignore[method-assign]
    field.create(2)
    field.catch_up(follower)
