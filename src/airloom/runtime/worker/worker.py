"""A worker: Celery's consumer with our own pool, which hands tries to the runner, in one process and one thread."""

import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.concurrency.base import BasePool
from celery.worker import WorkController, components, state
from kombu import Exchange
from kombu.exceptions import ChannelError

from airloom.executors.celery.app import make_app, make_queue
from airloom.model.wire import Stop
from airloom.runtime.worker.consumer import GatedConsumer, Telling, TryConsumer, TryTask
from airloom.runtime.worker.control import limit_control
from airloom.runtime.worker.hand import Hand
from airloom.runtime.worker.line import RunnerLine
from airloom.runtime.worker.scaling import EVERY, Scaling, read_machine
from airloom.runtime.worker.settings import WorkerSettings
from airloom.runtime.worker.window import Window

log = logging.getLogger("airloom.worker")

#: what may be shown of the broker
_SHOWN = ("port", "virtual_host", "heartbeat")
#: seconds that a runner may take beyond the grace to end its tries and tell of it
_LAST_WORDS = 25.0
#: looks in the time of a lease whether the runner hangs
_CHECKS = 20


class HubTurns:
    """Has something called by Celery's loop: soon, or at a time. Without a loop it is called by whoever waits."""

    def __init__(self) -> None:
        self.call: Callable[[], None] = _nothing
        self._hub: Any = None
        self._soon = False
        self._at: float | None = None

    def watch(self, hub: Any) -> None:
        """This loop runs from now on."""
        self._hub, self._soon, self._at = hub, False, None
        self.soon()

    def soon(self) -> None:
        """In the next turn of the loop."""
        if not self._soon and self._hub is not None:
            self._soon = True
            # Not by `call_soon`: what is said so while timers run waits for the next event of any kind.
            self._hub.call_later(0, self._turn)

    def at(self, moment: float) -> None:
        """At a time (monotonic), or before."""
        if self._hub is not None and (self._at is None or moment < self._at):
            self._at = moment
            self._hub.call_later(max(0.0, moment - time.monotonic()), self._due, moment)

    def _turn(self) -> None:
        self._soon = False
        self.call()

    def _due(self, moment: float) -> None:
        if self._at == moment:
            self._at = None
            self.call()


class RunnerPool(BasePool):  # type: ignore[misc]
    """What Celery takes for its pool of processes: the worker's slots."""

    def __init__(self, worker: "Worker") -> None:
        super().__init__(app=worker.app)
        self._worker = worker

    @property
    def num_processes(self) -> int:
        """Slots."""
        return self._worker.hand.slots

    def register_with_event_loop(self, loop: Any) -> None:
        """Celery's loop is about to run."""
        self._worker.watch(loop)

    def _get_info(self) -> dict[str, Any]:
        hand = self._worker.hand
        return {"implementation": "airloom", "max-concurrency": hand.slots, "busy": hand.busy, "takes": not hand.why}


class PoolStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Gives Celery that pool."""

    requires = (components.Hub,)

    def create(self, w: Any) -> RunnerPool:
        """The pool of this worker."""
        pool: RunnerPool = w.worker.pool
        w.pool = pool
        w.process_task = w.max_concurrency = w.autoscaler = None
        return pool

    def info(self, w: Any) -> dict[str, Any]:
        """For `celery inspect stats`."""
        return {"pool": w.pool.info}

    def register_with_event_loop(self, w: Any, hub: Any) -> None:
        """Celery's loop is about to run."""
        w.pool.register_with_event_loop(hub)


class Controller(WorkController):  # type: ignore[misc]
    """Celery's worker, with these steps only."""

    class Blueprint(WorkController.Blueprint):  # type: ignore[misc]
        """Its steps."""

        default_steps = [components.Hub, components.Timer, PoolStep, components.Consumer]

    def __init__(self, worker: "Worker", **options: Any) -> None:
        self.worker = worker
        super().__init__(app=worker.app, **options)

    def stats(self) -> dict[str, Any]:
        """For `celery inspect stats` and Flower: of the broker only what is no secret."""
        found: dict[str, Any] = super().stats()
        broker = found.get("broker") or {}
        hostname = str(broker.get("hostname") or "").rpartition("@")[2]
        found["broker"] = {"hostname": hostname, **{name: broker.get(name) for name in _SHOWN}}
        return found


class Worker:
    """Celery's consumer, the runner, and what is in hand, tied together."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        #: as people may see it
        self.broker = settings.broker.shown
        self.app = make_app(settings.broker)
        self.app.conf.update(
            task_queues=[make_queue(settings.broker, queue) for queue in settings.queues],
            worker_cancel_long_running_tasks_on_connection_loss=True,
            worker_enable_prefetch_count_reduction=False,
            worker_disable_rate_limits=True,
            broker_channel_error_retry=True,
        )
        self.app.register_task(TryTask())
        self.app.amqp.Consumer = GatedConsumer
        self.app.events.dispatcher_cls = Telling
        for queue in self.app.amqp.queues.values():
            queue.exchange = Exchange("")  # Celery has put one of its own there
        self._turns = HubTurns()
        self._line = RunnerLine(settings.runner, lambda said: self.hand.heard(said), self._runner_changed)
        self.hand = Hand(
            settings.slots.least,
            Window(not settings.broker.speaks_amqp),
            self._line.send,
            self._turns,
            self._ordered_to_stop,
        )
        self._turns.call = self.hand.turn
        self._scaling = Scaling(settings.slots.least, settings.slots.most, settings.memory_reserve)
        self._signals: list[int] = []
        self._signalled, self._signal_socket = socket.socketpair()
        self._grace: float | None = None
        self._stop_by = 0.0
        self.pool = RunnerPool(self)
        limit_control(self._ordered_to_stop)
        self._controller = Controller(
            self,
            hostname=f"airloom@{settings.name}",
            consumer_cls=TryConsumer,
            pool_cls=RunnerPool,
            concurrency=settings.slots.most,
            prefetch_multiplier=0,
            use_eventloop=True,
            without_mingle=True,
        )

    def run(self) -> int:
        """Work until told to stop. Gives the exit status."""
        self._watch_signals()
        self._line.look()
        self._controller.start()
        self._line.close()
        return int(self._controller.exitcode or 0)

    # --- Celery's loop ------------------------------------------------------------------------------------------------
    def watch(self, hub: Any) -> None:
        """It is about to run, with nothing of ours in it."""
        hub.add_reader(self._signalled.fileno(), self._on_signal)
        hub.call_repeatedly(EVERY, self._now_and_then)
        hub.call_repeatedly(min(EVERY, self._settings.runner.lease / _CHECKS), self._line.check)
        self._turns.watch(hub)
        self._line.watch(hub)

    def meanwhile(self) -> None:
        """It does not run, for the broker is out of reach: do what cannot wait for that."""
        self._on_signal()
        self._line.check()
        self.hand.turn()
        self._give_up()

    def _now_and_then(self) -> None:
        self._give_up()
        self._scale()

    # --- the end ------------------------------------------------------------------------------------------------------
    def stop(self, grace: float) -> None:
        """Take nothing more, let what runs go on for so many seconds, then end it, and this process."""
        if self._grace is not None and grace >= self._grace:
            return
        self._grace, self._stop_by = grace, time.monotonic() + grace + self._settings.runner.grace + _LAST_WORDS
        self.hand.close()
        self._line.keeping = False
        busy = self.hand.busy
        tasks = f"{busy} task" if busy == 1 else f"{busy} tasks"
        if not busy:
            log.info("stops")
        elif grace:
            log.warning("stops: its %s may go on for %g s; a second signal ends them at once", tasks, grace)
        else:
            log.warning("stops: its %s end now and run again elsewhere", tasks)
        if not self._line.send(Stop(grace=grace)):
            self._line.process.kill()  # it has not begun to work
            self._end()

    def _give_up(self) -> None:
        if self._grace is not None and time.monotonic() > self._stop_by:
            log.error("the runner does not end: it is left to itself")
            state.should_stop = 0

    def _ordered_to_stop(self) -> None:
        self.stop(self._settings.grace)

    def _end(self) -> None:
        self._line.process.wait(_LAST_WORDS)
        state.should_stop = 0

    def _watch_signals(self) -> None:
        for end in (self._signalled, self._signal_socket):
            end.setblocking(False)
        signal.set_wakeup_fd(self._signal_socket.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, lambda number, _frame: self._signals.append(number))

    def _on_signal(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signalled.recv(4096)
        while self._signals:
            number = self._signals.pop(0)
            cold = number == signal.SIGQUIT or self._grace is not None
            self.stop(0.0 if cold else self._settings.grace)

    # --- the runner ---------------------------------------------------------------------------------------------------
    def _runner_changed(self) -> None:
        if self._line.connected:
            self.hand.runner_came()
            if self._settings.replaces and not self._line.process.ours:
                log.warning(
                    "a runner of before has other settings: it ends when its tasks have, and another one follows"
                )
                self._line.send(Stop(grace=self._settings.grace))
            return
        self.hand.runner_went()
        if self._grace is not None:
            self._end()

    # --- slots --------------------------------------------------------------------------------------------------------
    def _scale(self) -> None:
        slots, busy = self.hand.slots, self.hand.busy
        if self._grace is not None or self._settings.slots.least == self._settings.slots.most:
            return
        waiting = busy >= slots and slots < self._settings.slots.most and self._messages_wait()
        wanted = self._scaling.decide(time.monotonic(), slots, busy, read_machine(), waiting)
        if wanted != slots:
            log.info("%d slots instead of %d", wanted, slots)
            self.hand.resize(wanted)

    def _messages_wait(self) -> bool:
        connection = self._controller.consumer.connection
        if connection is None:
            return False
        for queue in self.app.amqp.queues:
            # A channel of its own: asking for a queue that is not there ends it, and on Redis an empty one is not.
            with contextlib.suppress(ChannelError), connection.channel() as channel:
                if channel.queue_declare(queue=queue, passive=True).message_count:
                    return True
        return False


def _nothing() -> None:
    return
