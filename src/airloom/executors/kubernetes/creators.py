"""Makes and deletes pods at one cluster, in a few threads; the works of several tries share a Secret."""

import logging
import random
import threading
import time
from base64 import b64encode
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol
from uuid import uuid4

from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.errors import ApiError, Unreachable
from airloom.executors.kubernetes.client.objects import Object
from airloom.executors.kubernetes.judge import Ending
from airloom.executors.kubernetes.line import WHOLE, Chore, Line, Making
from airloom.executors.kubernetes.pods import PodFault, ca_data, secret_key
from airloom.executors.kubernetes.refusals import Again, Fail, Refusal, Scope, There, Wait, refusal_of
from airloom.executors.kubernetes.settings import ClusterSettings
from airloom.model.errors import AirloomError
from airloom.model.pod_shape import OWN_PREFIX
from airloom.model.report import Cause, TryKey
from airloom.model.wire import Submit, frame
from airloom.model.work import Work

log = logging.getLogger("airloom.executor")

#: seconds before the same is sent again at which two writers met, and before a pod of the same name is looked for that
#: is about to go
_SOON = (0.02, 0.1)
_GOING = 2.0
#: seconds before what failed on our side is tried again, and after a pod has ended for a quota to know it
_PAUSE = 2.0
_COUNTED = 0.1
#: the label of a pod that tells the Secret with its work
SECRET = f"{OWN_PREFIX}secret"


class Owner(Protocol):
    """Who is told. All of it is called by the threads; none of it may wait."""

    def packed(self, cluster: str, namespace: str, secret: str, keys: Collection[TryKey]) -> None:
        """The works of these tries are in a Secret that is about to be made."""

    def made(self, key: TryKey) -> None:
        """The pod of a try is there."""

    def refused(self, key: TryKey, ending: Ending) -> None:
        """A try will have no pod."""

    def held(self, keys: Collection[TryKey], why: str) -> None:
        """The pods of these have to wait."""


class Maker(Protocol):
    """What becomes part of a pod that only others know. Raises AirloomError, to be asked again."""

    def seal(self, work: Work) -> Work:
        """The work with the token of its try."""

    def manifest(self, work: Work, secret: str) -> Object:
        """The pod of a work that is in that Secret. Raises PodFault if there can be none."""


class Creators:
    """The threads of one cluster."""

    def __init__(self, settings: ClusterSettings, api: Api, labels: Object, maker: Maker, owner: Owner) -> None:
        """labels: of Secrets."""
        self._settings = settings
        self._api = api
        self._labels = labels
        self._maker = maker
        self._owner = owner
        self._line = Line()
        self._news = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def start(self, threads: int) -> None:
        """Begin."""
        for number in range(threads):
            name = f"airloom-pod-maker-{self._settings.name}-{number}"
            thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Make nothing more; threads may take a moment: `join`."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def join(self, seconds: float) -> None:
        """Wait for the threads."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    # --- what is to be done -------------------------------------------------------------------------------------------
    def make(self, works: Iterable[tuple[Work, str, int]]) -> dict[TryKey, str]:
        """Have pods made for these works, each with its namespace and its size in bytes; those that will have to wait,
        and why."""
        with self._news:
            whys = {work.key: self._line.put(work, namespace, size) for work, namespace, size in works}
            self._news.notify_all()
        return {key: why for key, why in whys.items() if why}

    def drop(self, keys: Iterable[TryKey]) -> None:
        """Make no pods for these any more."""
        with self._news:
            self._line.drop(keys)

    def freed(self, namespace: str) -> None:
        """Pods have made room there."""
        with self._news:
            self._line.freed(namespace, time.monotonic(), _COUNTED)
            self._news.notify_all()

    def remove(self, namespace: str, name: str, uid: str) -> None:
        """Delete a pod."""
        self.run(lambda: self._api.delete_pod(namespace, name, uid))

    def forget(self, namespace: str, secret: str) -> None:
        """Delete a Secret."""
        self.run(lambda: self._api.delete_secret(namespace, secret))

    def run(self, chore: Chore) -> None:
        """Have this done by one of the threads; it may raise ApiError, Unreachable."""
        with self._news:
            self._line.add(chore)
            self._news.notify()

    # --- the threads --------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            with self._news:
                while not self._closed and (job := self._line.take(time.monotonic())) is None:
                    self._news.wait(self._line.due(time.monotonic()))
                if self._closed:
                    return
            assert job is not None
            if isinstance(job, Sequence):
                self._work_on(job)
            else:
                self._do(job)

    def _do(self, chore: Chore) -> None:
        try:
            chore()
        except (ApiError, Unreachable) as error:
            refusal = refusal_of(error, "")
            if isinstance(refusal, Wait) and refusal.scope is Scope.CLUSTER:
                with self._news:
                    self._line.shut((), WHOLE, time.monotonic(), refusal.seconds, refusal.reason)
                    self._line.add(chore)
            else:
                # Whoever wanted it wants it again, if it is still needed.
                log.warning("cluster %s: %s", self._settings.name, error)
        except Exception:
            log.exception("cluster %s: a thread that deletes pods failed; it goes on", self._settings.name)

    def _work_on(self, batch: Sequence[Making]) -> None:
        try:
            if batch[0].secret:
                self._make(batch[0])
            else:
                self._pack(batch)
        except PodFault as fault:
            self._fail(batch, Ending(cause=Cause.INVALID, detail=str(fault)))
        except (ApiError, Unreachable) as error:
            self._refused(batch, refusal_of(error, batch[0].namespace))
        except AirloomError as error:
            self._wait(batch, str(error), _PAUSE)
        except Exception as error:
            log.exception("a pod could not be made; it is tried again")
            self._wait(batch, f"a pod could not be made: {type(error).__name__}: {error}", _PAUSE)

    def _pack(self, batch: Sequence[Making]) -> None:
        """Put the works of these into a Secret."""
        namespace, name = batch[0].namespace, f"airloom-work-{uuid4().hex[:20]}"
        works = [self._maker.seal(making.work) for making in batch]
        data = {secret_key(work): frame(Submit(works=(work,))) for work in works} | ca_data(self._settings)
        manifest: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": self._labels},
            "immutable": True,
            "data": {key: b64encode(value).decode() for key, value in data.items()},
        }
        # First: if we do not hear that it was made, it is deleted like any other.
        self._owner.packed(self._settings.name, namespace, name, [making.work.key for making in batch])
        self._api.create_secret(namespace, manifest)
        with self._news:
            self._line.packed(batch, name)
            self._news.notify_all()

    def _make(self, making: Making) -> None:
        manifest = self._maker.manifest(making.work, making.secret)
        manifest["metadata"]["labels"][SECRET] = making.secret
        try:
            self._api.create_pod(making.namespace, manifest)
        except (ApiError, Unreachable) as error:
            refusal = refusal_of(error, making.namespace)
            if not isinstance(refusal, There) or not self._is_ours(making, manifest["metadata"]["name"]):
                self._refused([making], refusal)
                return
        self._over(making, made=True)
        self._owner.made(making.work.key)

    def _is_ours(self, making: Making, name: str) -> bool:
        """Whether the pod of that name is the try's own: an earlier attempt has arrived. Raises PodFault if not."""
        there = self._api.get_pod(making.namespace, name)
        if there is None or there.metadata.deletion_timestamp is not None:
            return False
        labels = there.metadata.labels
        if names.key_of(labels) != making.work.key or not self._labels.items() <= labels.items():
            raise PodFault(f"there is a pod {name} in the namespace {making.namespace} that is not this try's")
        return True

    def _refused(self, batch: Sequence[Making], refusal: Refusal) -> None:
        now = time.monotonic()
        if isinstance(refusal, Fail):
            self._fail(batch, Ending(cause=refusal.cause, detail=refusal.detail))
        elif isinstance(refusal, Again):
            with self._news:
                self._line.again(batch, now, random.uniform(*_SOON))
                self._news.notify()
        elif isinstance(refusal, There):
            self._wait(batch, "the pod of its name is about to go", _GOING)
        elif refusal.scope is Scope.TRY:
            self._wait(batch, refusal.reason, refusal.seconds)
        else:
            scope = batch[0].namespace if refusal.scope is Scope.NAMESPACE else WHOLE
            with self._news:
                self._line.shut(batch, scope, now, refusal.seconds, refusal.reason)
                waiting = self._line.waiting(scope)
                self._news.notify()
            self._owner.held(waiting, refusal.reason)

    def _wait(self, batch: Sequence[Making], why: str, seconds: float) -> None:
        with self._news:
            self._line.again(batch, time.monotonic(), seconds)
            self._news.notify()
        self._owner.held([making.work.key for making in batch], why)

    def _fail(self, batch: Sequence[Making], ending: Ending) -> None:
        for making in batch:
            self._over(making, made=False)
            self._owner.refused(making.work.key, ending)

    def _over(self, making: Making, made: bool) -> None:
        with self._news:
            self._line.over(making, made)
            self._news.notify()
