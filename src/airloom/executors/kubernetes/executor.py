"""The Kubernetes executor: a pod for each try, whose runner claims it in the database and reports by the task API.

From here come only the ends that no runner can tell: of pods that could not be made, did not start, were killed, or are
lost. Where the runner's own word is there as well, that counts.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from airloom.executors.cluster import Cluster
from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.creators import Creators
from airloom.executors.kubernetes.desk import Desk, MakerNews, PodNews, Site, Wake
from airloom.executors.kubernetes.informer import Informer
from airloom.executors.kubernetes.judge import Ending
from airloom.executors.kubernetes.line import LARGEST
from airloom.executors.kubernetes.mutation import MutationHook
from airloom.executors.kubernetes.pods import Hook, Place, PodFault, manifest_of, place_of
from airloom.executors.kubernetes.settings import KubernetesSettings
from airloom.model.errors import StoreError
from airloom.model.report import Cause, News, TryKey
from airloom.model.work import Cancel, Work, content

__all__ = ["KubernetesExecutor"]

log = logging.getLogger("airloom.executor")

#: seconds between two looks at the database; so that many tries make no difference, a look that takes long is followed
#: by a pause of so many times its length, of so many seconds at most
_LOOK = 2.0
_REST = 200
_LONGEST_PAUSE = 10.0
#: seconds between two looks for Secrets that nobody needs; those that two in a row find are deleted
_SWEEP = 300.0
#: seconds that closing waits for each of the threads
_JOIN = 2.0


class _Maker:
    """What creators need to know of pods."""

    def __init__(self, settings: KubernetesSettings, cluster: Cluster, hook: Hook | None) -> None:
        self._settings = settings
        self._hook = hook
        self.seal = cluster.seal

    def manifest(self, work: Work, secret: str) -> dict[str, Any]:
        """The pod of a work that is in that Secret."""
        return manifest_of(work, self._settings, secret, self._hook)


class KubernetesExecutor:
    """Makes pods for tries, and watches over them until they have ended."""

    def __init__(
        self, settings: KubernetesSettings, cluster: Cluster, wake: Wake, hook: MutationHook | None = None
    ) -> None:
        """Raises SettingsError where a cluster's address or credentials cannot be read."""
        self._cluster = cluster
        self._hook = hook
        self._wake = wake
        self._closed = threading.Event()
        self._news = threading.Event()
        apis = {name: Api(find_access(one.kubeconfig, one.context)) for name, one in settings.clusters.items()}
        self._settings = _with_namespaces(settings, apis)
        self._desk = Desk(self._settings, wake, self._news.set)
        labels = {
            names.INSTALLATION: names.label(settings.runner.owner),
            names.EXECUTOR: names.label(settings.runner.name),
        }
        maker, told = _Maker(self._settings, cluster, hook), MakerNews(self._desk)
        self._desk.sites = {
            name: Site(api, Creators(self._settings.clusters[name], api, labels, maker, told))
            for name, api in apis.items()
        }
        self._selector = names.selector(settings.runner.owner, settings.runner.name)
        places = _places(self._settings)
        self._pod_news = PodNews(self._desk, places, wake)
        self._informers = [Informer(apis[place.cluster], place, self._selector, self._pod_news) for place in places]
        #: whether this process leads: only it may know which Secrets nobody needs
        self._leads = False
        self._unknown: set[tuple[Place, str]] = set()
        self._sweep_at = time.monotonic() + _SWEEP
        for informer in self._informers:
            informer.start()
        for site in self._desk.sites.values():
            site.creators.start(settings.creators)
        self._watcher = threading.Thread(target=self._watch_over, name="airloom-pod-watcher", daemon=True)
        self._watcher.start()

    # --- the executor protocol ----------------------------------------------------------------------------------------
    def capacity(self) -> tuple[int | None, str]:
        """Any number: what a cluster has no room for waits. None while nothing can be seen of any of them."""
        if self._closed.is_set():
            return 0, "the scheduler is stopping"
        troubles = list(self._pod_news.troubles.values())
        return (0, troubles[0]) if all(troubles) else (None, "")

    def submit(self, works: Iterable[Work]) -> None:
        """Have pods made for these. One that no pod can be made for ends at once."""
        self._leads = True
        ready, faults = [], {}
        for work in works:
            try:
                place, size = place_of(work, self._settings), len(content(work))
                if size > LARGEST:
                    raise PodFault(
                        f"the run's conf and what else the try is to be told take {size // 1024} KiB, a pod takes "
                        f"{LARGEST // 1024}"
                    )
                ready.append((work, place, size))
            except PodFault as fault:
                faults[work.key] = Ending(cause=Cause.INVALID, detail=str(fault))
        self._desk.submit(ready, faults)
        self._news.set()

    def poll(self) -> Sequence[News]:
        """The ends that no runner can tell, and what tries wait for."""
        return self._desk.poll()

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """End these: what nobody has claimed is taken back; to a runner that has claimed one the task API tells it."""
        with self._desk.open() as book:
            book.tries.cancel(cancels, time.monotonic())

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """Those that a pod has claimed. The others have to be submitted again, which makes no second pod where there is
        one. Raises StoreError."""
        wanted = set(keys)
        self._leads = bool(wanted)
        claims = self._cluster.look().claims if wanted else {}
        claimed = {key for key in wanted if claims.get(key)}
        over = self._desk.keep(wanted)
        with self._desk.open() as book:
            book.adopt(claimed - over, time.monotonic())
        self._news.set()
        return claimed | over

    def close(self, grace: float) -> None:
        """Make nothing more. What runs goes on, and what has no pod yet the next scheduler submits."""
        self._closed.set()
        self._wake()
        self._news.set()
        threads: list[Informer | Creators] = [*self._informers, *(site.creators for site in self._desk.sites.values())]
        for one in threads:
            one.close()
        for one in threads:
            one.join(_JOIN)
        self._watcher.join(_JOIN)
        for site in self._desk.sites.values():
            site.api.close()
        if self._hook is not None:
            self._hook.close()

    # --- the watcher --------------------------------------------------------------------------------------------------
    def _watch_over(self) -> None:
        look_at, told = 0.0, ""
        while True:
            due = look_at if not self._desk.idle else self._sweep_at if self._leads else None
            self._news.wait(None if due is None else max(0.0, due - time.monotonic()))
            self._news.clear()
            if self._closed.is_set():
                return
            try:
                self._withdraw()
                if time.monotonic() >= look_at:
                    look_at, told = time.monotonic() + self._look(), ""
                if self._leads and time.monotonic() >= self._sweep_at:
                    self._sweep_at = time.monotonic() + _SWEEP
                    self._sweep()
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("what runs cannot be watched: %s", told)
                look_at = time.monotonic() + _LOOK
            except Exception:
                log.exception("the thread that watches what runs failed; it goes on")
                look_at = time.monotonic() + _LONGEST_PAUSE

    def _withdraw(self) -> None:
        """Take back what is to end without having begun. What is claimed its runner hears of, or it is lost."""
        asked = self._desk.doomed()
        if asked:
            taken = self._cluster.withdraw(asked)
            with self._desk.open() as book:
                book.tries.withdrawn(asked, taken, time.monotonic())

    def _look(self) -> float:
        """See what became of the tries; how many seconds later to look again."""
        began = time.monotonic()
        view = self._cluster.look()
        now = time.monotonic()
        with self._desk.open() as book:
            book.look(view, began, now)
            gone = book.leases.gone
        if gone:
            self._cluster.forget(gone)
        return min(max(_LOOK, _REST * (now - began)), _LONGEST_PAUSE)

    def _sweep(self) -> None:
        """Have Secrets deleted that a scheduler left when it was killed."""
        found, self._unknown = self._unknown, set()
        for place in _places(self._settings):
            site = self._desk.sites[place.cluster]
            site.creators.run(lambda place=place: self._sweep_place(place, found))  # type: ignore[misc]

    def _sweep_place(self, place: Place, before: set[tuple[Place, str]]) -> None:
        site = self._desk.sites[place.cluster]
        there = {one.name for one in site.api.list_secrets(place.namespace, self._selector)}
        with self._desk.open() as book:
            unknown = there - book.shelf.secrets(place)
        for name in unknown:
            if (place, name) in before:
                site.creators.forget(place.namespace, name)
        self._unknown |= {(place, name) for name in unknown}


def _with_namespaces(settings: KubernetesSettings, apis: dict[str, Api]) -> KubernetesSettings:
    """The settings with the namespaces that are the credentials' own."""
    clusters = {
        name: one if one.namespace else msgspec.structs.replace(one, namespace=apis[name].access.namespace)
        for name, one in settings.clusters.items()
    }
    return msgspec.structs.replace(settings, clusters=clusters)


def _places(settings: KubernetesSettings) -> list[Place]:
    return [
        Place(cluster=name, namespace=namespace)
        for name, one in settings.clusters.items()
        for namespace in one.all_namespaces
    ]
