"""Where the threads of the executor meet: the book, behind a lock, and whoever carries out what it orders."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.book import Book
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError
from airloom.executors.kubernetes.client.objects import Pod, moment
from airloom.executors.kubernetes.creators import SECRET, Creators
from airloom.executors.kubernetes.judge import Ending, Phase, judge, judge_gone
from airloom.executors.kubernetes.pods import Place
from airloom.executors.kubernetes.settings import KubernetesSettings
from airloom.executors.kubernetes.shelf import KnownPod, Orders, PodName, PodSeen
from airloom.executors.pod_terms import UNABLE
from airloom.model.pod_shape import BASE
from airloom.model.report import Cause, Ended, HandedBack, News, Outcome, TryKey, Waiting
from airloom.model.work import Work

log = logging.getLogger("airloom.executor")

#: letters of an event that are shown
_LONGEST_NOTE = 1000

#: called when there is news
Wake = Callable[[], None]


class Site:
    """A cluster: what makes pods there, and what tells of them."""

    def __init__(self, api: Api, creators: Creators) -> None:
        self.api = api
        self.creators = creators


class Desk:
    """The book for all threads: `open` it, and what it orders is carried out when that ends.

    wake: called when there is news for the scheduler; ring: when there is work for who watches over the tries.
    """

    def __init__(self, settings: KubernetesSettings, wake: Wake, ring: Wake) -> None:
        self._wake = wake
        self._ring = ring
        self._lock = threading.Lock()
        self._book = Book(settings)
        #: by cluster
        self.sites: Mapping[str, Site] = {}
        self._reports: list[News] = []
        self._withdraw: set[TryKey] = set()

    @contextmanager
    def open(self) -> Iterator[Book]:
        """The book, for a moment."""
        with self._lock:
            idle = self._book.idle
            yield self._book
            self._carry_out(self._book.orders())
            if idle and not self._book.idle:
                self._ring()

    def submit(self, works: Iterable[tuple[Work, Place, int]], faults: Mapping[TryKey, Ending]) -> None:
        """Have pods made for works of so many bytes; for others there can be none."""
        by_cluster: dict[str, list[tuple[Work, str, int]]] = {}
        now = time.monotonic()
        with self.open() as book:
            for key, ending in faults.items():
                book.submit(key, None, now)
                book.tries.fail(key, ending)
            for work, place, size in works:
                if book.submit(work.key, place, now):
                    by_cluster.setdefault(place.cluster, []).append((work, place.namespace, size))
            for cluster, wanted in by_cluster.items():
                for key, why in self.sites[cluster].creators.make(wanted).items():
                    book.tries.hold(key, why)

    def poll(self) -> list[News]:
        """What is new for the scheduler."""
        with self._lock:
            reports, self._reports = self._reports, []
            return reports

    @property
    def idle(self) -> bool:
        """Whether there is nothing to watch over."""
        with self._lock:
            return self._book.idle

    def doomed(self) -> set[TryKey]:
        """The tries that are to be withdrawn."""
        with self._lock:
            asked, self._withdraw = self._withdraw, set()
            return asked

    def keep(self, wanted: set[TryKey]) -> set[TryKey]:
        """Forget all other tries; which of these are over, and not reported yet."""
        with self.open() as book:
            self._reports = [report for report in self._reports if report.key in wanted]
            self._withdraw &= wanted
            over = {report.key for report in self._reports if isinstance(report, Ended | HandedBack)}
            book.tries.keep(wanted - over)
            return over

    def _carry_out(self, orders: Orders) -> None:
        if orders.drop:
            for site in self.sites.values():
                site.creators.drop(orders.drop)
        for pod in orders.remove:
            self.sites[pod.place.cluster].creators.remove(pod.place.namespace, pod.name, pod.uid)
        for place, secret in orders.unused:
            self.sites[place.cluster].creators.forget(place.namespace, secret)
        for pod in orders.ask:
            self.sites[pod.place.cluster].creators.run(lambda pod=pod: self._explain(pod))  # type: ignore[misc]
        for place in orders.freed:
            self.sites[place.cluster].creators.freed(place.namespace)
        self._reports += [Waiting(key=key, why=why) for key, why in orders.waits.items()]
        self._reports += [_report(key, ending) for key, ending in orders.ends.items()]
        if orders.waits or orders.ends:
            self._wake()
        if orders.withdraw:
            self._withdraw |= orders.withdraw
            self._ring()

    def _explain(self, pod: PodName) -> None:
        """Read what is noted of a pod that does not start."""
        try:
            events = self.sites[pod.place.cluster].api.events_of(pod.place.namespace, pod.uid)
        except ApiError:
            # To read them is a right that one may not have; they only explain.
            return
        warnings = [event.message for event in events if event.type == "Warning"]
        note = " ".join(warnings[-1].split())[:_LONGEST_NOTE] if warnings else ""
        with self.open() as book:
            book.explained(pod.uid, note, time.monotonic())


class PodNews:
    """What informers tell, into the book (this is their Listener). troubles: places that nobody sees, and why."""

    def __init__(self, desk: Desk, places: Iterable[Place], wake: Wake) -> None:
        self._desk = desk
        self._wake = wake
        self.troubles = {
            place: f"the cluster {place.cluster} has not shown its pods in {place.namespace} yet" for place in places
        }

    def listed(self, place: Place, pods: Iterable[Pod], began: float) -> None:
        """These are all pods of a place."""
        with self._desk.open() as book:
            seen = [_seen(place, pod, book.shelf.get(pod.metadata.uid)) for pod in pods]
            book.listed(place, [one for one in seen if one is not None], began, time.monotonic())

    def changed(self, place: Place, pod: Pod) -> None:
        """A pod is like this."""
        with self._desk.open() as book:
            if (seen := _seen(place, pod, book.shelf.get(pod.metadata.uid))) is not None:
                book.seen(seen, time.monotonic())

    def deleted(self, place: Place, pod: Pod) -> None:
        """A pod is gone."""
        with self._desk.open() as book:
            if (seen := _seen(place, pod, None)) is not None:
                book.gone(seen, judge_gone(pod), time.monotonic())

    def watching(self, place: Place, trouble: str) -> None:
        """Whether a place is seen."""
        if self.troubles[place] != trouble:
            self.troubles[place] = trouble
            where = f"the pods of the namespace {place.namespace} in the cluster {place.cluster}"
            if trouble:
                log.warning("%s are not seen: %s; trying again", where, trouble)
            else:
                log.info("%s are seen", where)
            self._wake()


class MakerNews:
    """What creators tell, into the book (this is their Owner)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def packed(self, cluster: str, namespace: str, secret: str, keys: Collection[TryKey]) -> None:
        """The works of these are in a Secret."""
        with self._desk.open() as book:
            book.tries.packed(Place(cluster=cluster, namespace=namespace), secret, keys)

    def made(self, key: TryKey) -> None:
        """A pod is there."""
        with self._desk.open() as book:
            book.tries.made(key, time.monotonic())

    def refused(self, key: TryKey, ending: Ending) -> None:
        """A try will have no pod."""
        with self._desk.open() as book:
            book.tries.fail(key, ending)

    def held(self, keys: Collection[TryKey], why: str) -> None:
        """Pods have to wait."""
        with self._desk.open() as book:
            for key in keys:
                book.tries.hold(key, why)


def _seen(place: Place, pod: Pod, known: KnownPod | None) -> PodSeen | None:
    """What the book needs to know of a pod; None if it is no try's."""
    metadata = pod.metadata
    key = names.key_of(metadata.labels)
    if key is None:
        return None
    stand = judge(pod, None if known is None else known.seen.stand)
    over = stand.phase is Phase.ENDED
    return PodSeen(
        place=place,
        name=metadata.name,
        uid=metadata.uid,
        key=key,
        stand=stand,
        over_for=_over_for(pod) if over else 0.0,
        lingers=over and pod.status.phase == "Running",
        deleting=metadata.deletion_timestamp is not None,
        secret=metadata.labels.get(SECRET, ""),
    )


def _over_for(pod: Pod) -> float:
    """How long ago the container of the task ended, by the clocks of its node and of this machine."""
    for status in pod.status.container_statuses:
        ended = status.state.terminated
        if status.name == BASE and ended is not None and (at := moment(ended.finished_at)) is not None:
            return max(0.0, time.time() - at)
    return 0.0


def _report(key: TryKey, ending: Ending) -> Ended | HandedBack:
    if ending.exit_code == UNABLE and ending.cause is not Cause.CANCELLED:
        return HandedBack(key=key, at=time.time(), detail=ending.detail, lacks=True)
    return Ended(
        key=key,
        at=time.time(),
        outcome=Outcome.FAILED,
        cause=ending.cause,
        detail=ending.detail,
        exit_code=ending.exit_code,
        signal=ending.signal,
    )
