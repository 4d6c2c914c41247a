"""What the Celery executor says to a broker, and what it says of a broker that does not do what it should."""

import subprocess
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kombu import Queue

from airloom.executors.celery import broker, publisher
from airloom.executors.celery.app import make_app
from airloom.executors.celery.broker import Broker, BrokerTrouble
from airloom.executors.celery.messages import TASK, decode
from airloom.executors.celery.publisher import Publisher
from airloom.executors.celery.settings import CelerySettings
from airloom.model.errors import SettingsError
from airloom.model.report import TryKey
from airloom.model.work import RunInfo, Work
from tests.brokers import RabbitServer, RedisServer, Tls
from tests.servers import free_port
from tests.waiting import DEADLINE

_RUN = RunInfo(run_id="r", run_type="manual", run_after=0.0)
TOKEN = "alt_1_1_0123456789abcdef0123456789abcdef"


def works(count: int, queue: str = "default", priority: int = 1) -> list[Work]:
    return [
        Work(
            key=TryKey(number, 1), dag_id="sales", task_id="load", run=_RUN, run_key=1, bundle="dags", rel_path="d.py",
            version_id=1, queue=queue, priority=priority, token=TOKEN,
        )
        for number in range(1, count + 1)
    ]  # fmt: skip


@pytest.fixture(params=["redis", "classic", "quorum"])
def settings(request: pytest.FixtureRequest) -> CelerySettings:
    """An empty broker of each kind."""
    url = request.getfixturevalue("redis_url" if request.param == "redis" else "rabbitmq_url")
    return CelerySettings(url=url, queue_type="quorum" if request.param == "quorum" else "classic")


@pytest.fixture
def rabbit(rabbitmq_url: str) -> CelerySettings:
    return CelerySettings(url=rabbitmq_url)


def publish(settings: CelerySettings, to_send: list[Work]) -> set[TryKey]:
    """Publish them on a connection of their own; those that are told to be done."""
    done: list[TryKey] = []
    with closing(Broker(settings)) as line:
        line.publish(to_send, done.append)
    assert len(done) == len(set(done))
    return set(done)


@contextmanager
def consuming(settings: CelerySettings, queue: str = "default") -> Iterator[Callable[[], Any]]:
    """What takes the next message of a queue, or None."""
    with make_app(settings).connection_for_read() as connection:
        bound = Queue(settings.queue_name(queue)).bind(connection.channel())
        yield lambda: bound.get(no_ack=True)


def taken(settings: CelerySettings, count: int, queue: str = "default") -> list[Work]:
    """So many messages of a queue, decoded."""
    with consuming(settings, queue) as take:
        return [decode(message.payload[0], message.headers) for message in (take() for _ in range(count))]


def trouble(settings: CelerySettings, queue: str = "default") -> str:
    """What is wrong, as people are told."""
    with pytest.raises(BrokerTrouble) as raised:
        publish(settings, works(1, queue))
    return str(raised.value)


class TestMessages:
    def test_each_work_arrives_once_and_as_it_was(self, settings: CelerySettings):
        sent = works(1200)
        assert publish(settings, sent) == {work.key for work in sent}
        assert sorted(taken(settings, 1200), key=lambda work: work.key) == sent
        with closing(Broker(settings)) as line:
            assert line.lengths(["default"]) == {"default": 0}

    def test_the_token_is_shown_nowhere(self, settings: CelerySettings):
        publish(settings, works(1))
        with consuming(settings) as take:
            message = take()
        assert message.headers["task"] == TASK
        assert message.headers["shadow"] == "sales.load"
        assert message.headers["argsrepr"] == "(run 'r', try 1)"
        assert TOKEN not in str(message.headers) + str(message.properties)

    def test_queues_may_have_odd_names(self, settings: CelerySettings):
        for queue in ("ünï/cödé ☃", "a.b*#", "x" * 200, "%s'\"\\"):
            publish(settings, works(2, queue))
            assert len(taken(settings, 2, queue)) == 2

    def test_queues_are_measured_also_those_that_are_not_there(self, settings: CelerySettings):
        publish(settings, works(3))
        with closing(Broker(settings)) as line:
            assert line.lengths(["default", "nothing", "default"]) == {"default": 3, "nothing": 0}
            line.check()
            line.publish(works(1, "nothing"), lambda key: None)
            assert line.lengths(["nothing"]) == {"nothing": 1}


def test_the_more_urgent_comes_first(broker_url: str):
    settings = CelerySettings(url=broker_url)
    for priority in (1, 600, 20):
        publish(settings, works(2, priority=priority))
    assert [work.priority for work in taken(settings, 6)] == [600, 600, 20, 20, 1, 1]


class TestRabbitQueues:
    def test_a_queue_of_another_kind_is_used_and_the_log_says_what_to_do(
        self, rabbit: CelerySettings, caplog: pytest.LogCaptureFixture
    ):
        publish(rabbit, works(1))
        quorum = CelerySettings(url=rabbit.url, queue_type="quorum")
        publish(quorum, works(1))
        assert len(taken(rabbit, 2)) == 2
        assert "airloom.default of another kind" in caplog.text
        assert "delete it there" in caplog.text

    def test_a_queue_that_someone_deletes_is_made_anew(self, rabbit: CelerySettings):
        done: list[TryKey] = []
        with closing(Broker(rabbit)) as line:
            line.publish(works(1), done.append)
            with make_app(rabbit).connection_for_write() as other:
                other.default_channel.queue_delete("airloom.default")
            line.publish(works(2), done.append)
            assert len(done) == 1
            line.publish(works(2), done.append)
        assert len(done) == 3
        assert len(taken(rabbit, 2)) == 2

    def test_a_full_queue_holds_up_no_other(
        self, rabbit: CelerySettings, rabbitmq_server: RabbitServer, caplog: pytest.LogCaptureFixture
    ):
        vhost = rabbit.url.rpartition("/")[2]
        policy = '{"max-length": 2, "overflow": "reject-publish"}'
        rabbitmq_server.control("set_policy", "-p", vhost, "full", "^airloom.full$", policy)
        publish(rabbit, [*works(5, "full"), *works(8)[5:]])
        assert len(taken(rabbit, 3)) == 3
        assert "are these queues full?), for now: airloom.full" in caplog.text


class TestTrouble:
    @pytest.mark.parametrize("scheme", ["redis", "amqp"])
    def test_a_broker_that_is_not_there(self, scheme: str):
        address = f"{scheme}://me:secret@127.0.0.1:{free_port()}/0"
        said = trouble(CelerySettings(url=address))
        assert said.startswith(f"the broker {address.replace('secret', '***')} is unreachable: ")
        assert "refused" in said

    @pytest.mark.parametrize("scheme", ["redis", "amqp"])
    def test_a_machine_that_nobody_knows(self, scheme: str):
        said = trouble(CelerySettings(url=f"{scheme}://:secret@no-such-machine.invalid/0"))
        assert "no-such-machine.invalid" in said
        assert "known" in said or "resolution" in said
        assert "secret" not in said

    def test_a_wrong_password(self, rabbitmq_url: str):
        said = trouble(CelerySettings(url=rabbitmq_url.replace(":guest@", ":wrong@")))
        assert "refuses access; see the user, the password" in said
        assert "wrong" not in said
        with closing(RedisServer(password="right")) as server:
            for url in (server.url().replace("right", "wrong"), server.url().replace(":right@", "")):
                assert "refuses the user or the password" in trouble(CelerySettings(url=url))
            publish(CelerySettings(url=server.url()), works(1))

    def test_a_virtual_host_or_a_database_that_is_not_there(self, rabbitmq_url: str, redis_server: RedisServer):
        assert "vhost nowhere not found" in trouble(CelerySettings(url=rabbitmq_url.rpartition("/")[0] + "/nowhere"))
        redis_server.ensure()
        assert "DB index is out of range" in trouble(CelerySettings(url=redis_server.url(1_000_000)))

    def test_a_redis_without_memory(self, redis_url: str, redis_server: RedisServer):
        settings = CelerySettings(url=redis_url)
        redis_server.set_max_memory(1)
        try:
            assert "is out of memory; raise its maxmemory" in trouble(settings)
        finally:
            redis_server.set_max_memory(0)
        publish(settings, works(1))

    def test_a_redis_that_is_a_replica(self, redis_url: str, redis_server: RedisServer):
        redis_server.ask(f"REPLICAOF 127.0.0.1 {free_port()}")
        try:
            assert "is a replica, which takes no messages" in trouble(CelerySettings(url=redis_url))
        finally:
            redis_server.ask("REPLICAOF NO ONE")

    def test_a_rabbit_without_memory(
        self, rabbit: CelerySettings, rabbitmq_server: RabbitServer, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(broker, "_ANSWER", 1.0)
        rabbitmq_server.control("set_vm_memory_high_watermark", "0")
        try:
            assert "takes no messages now: it is short of memory or disk" in trouble(rabbit)
        finally:
            rabbitmq_server.control("set_vm_memory_high_watermark", "0.9")
        publish(rabbit, works(1))

    def test_a_broker_that_answers_nothing(
        self, broker_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(broker, "_ANSWER", 1.0)
        kind = "redis_server" if broker_url.startswith("redis") else "rabbitmq_server"
        server = request.getfixturevalue(kind)
        with closing(Broker(CelerySettings(url=broker_url))) as line:
            server.freeze()
            try:
                with pytest.raises(BrokerTrouble, match="does not answer"):
                    line.publish(works(1), lambda key: None)
            finally:
                server.thaw()
                line.drop()


class TestAddresses:
    @pytest.mark.parametrize(
        ("url", "fault"),
        [
            ("localhost", "a broker's address begins with redis://"),
            ("sqs://key:secret@", "a broker's address begins with redis://"),
            ("redis://:secret@box/sales", "Redis' databases have numbers, 'sales' is none"),
            ("redis://:secret/7@box/0", "in a password, characters such as / # ? @ are to be percent-encoded"),
            ("amqp://me:secret#7@box/0", "percent-encoded"),
            ("redis://:secret@box:port/0", "this is no address"),
            ("amqp://me:secret@box/a;oops://me:secret@box", "a broker's address begins with"),
            ("sentinel://:secret@box:26379/0", "it needs the name of the master"),
        ],
    )
    def test_what_is_no_address_is_refused_and_no_password_is_told(self, url: str, fault: str):
        with pytest.raises(SettingsError) as raised:
            CelerySettings(url=url)
        assert fault in str(raised.value)
        assert "secret" not in str(raised.value)

    def test_an_address_is_shown_without_its_secrets(self):
        url = "amqp://me:secret@one:5672/v;amqps://me:secret@two/v?auth=secret"
        assert CelerySettings(url=url).shown == "amqp://me:***@one:5672/v;amqps://me:***@two/v"

    def test_a_prefix_leaves_room_for_the_longest_queue(self):
        with pytest.raises(SettingsError, match="prefix has up to 55 bytes"):
            CelerySettings(url="redis://box", prefix="ü" * 28)

    @pytest.mark.parametrize("prefix", ["", "amq.", "amq.airloom."])
    def test_no_queue_has_a_name_that_the_broker_keeps_for_itself(self, prefix: str):
        with pytest.raises(SettingsError, match="does not begin with amq"):
            CelerySettings(url="redis://box", prefix=prefix)

    def test_the_second_address_is_tried_when_nobody_is_at_the_first(self, rabbitmq_url: str):
        both = f"amqp://guest:guest@127.0.0.1:{free_port()}/x;{rabbitmq_url}"
        publish(CelerySettings(url=both), works(1))
        assert len(taken(CelerySettings(url=rabbitmq_url), 1)) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate of this machine, which counts for itself and for nobody else."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", made]
    subprocess.run(command, check=True, capture_output=True)
    return Tls(made, key)


class TestTls:
    def test_redis_is_shown_a_certificate_and_its_own_is_checked(self, certificate: Tls):
        own = {"tls_certificate": certificate.certificate, "tls_key": certificate.key}
        with closing(RedisServer(tls=certificate._replace(client_ca=certificate.certificate))) as server:
            url = server.url()
            trusting = CelerySettings(url=url, tls_ca=certificate.certificate, **own)
            publish(trusting, works(1))
            assert len(taken(trusting, 1)) == 1
            assert "over TLS: " in (said := trouble(CelerySettings(url=url, **own)))
            assert "self-signed certificate" in said
            assert "cannot be spoken with over TLS" in trouble(CelerySettings(url=url, tls_ca=certificate.certificate))

    def test_the_certificate_of_rabbitmq_is_checked(self, certificate: Tls):
        with closing(RabbitServer(tls=certificate)) as server:
            url = server.url()
            trusting = CelerySettings(url=url, tls_ca=certificate.certificate)
            publish(trusting, works(1))
            assert len(taken(trusting, 1)) == 1
            assert "self-signed certificate" in trouble(CelerySettings(url=url))
            other = CelerySettings(url=url.replace("127.0.0.1", "127.1"), tls_ca=certificate.certificate)
            assert "is not valid for '127.1'" in trouble(other)

    def test_files_that_are_not_there_or_of_no_use_are_told(self, certificate: Tls):
        for url, file, fault in (
            ("rediss://box", "/nowhere/ca.pem", "the file /nowhere/ca.pem, for TLS with the broker, is not there"),
            ("redis://box", certificate.certificate, "write rediss:// or amqps://"),
        ):
            with pytest.raises(SettingsError, match=fault):
                Broker(CelerySettings(url=url, tls_ca=file))


class TestSentinel:
    def test_the_master_that_sentinel_names_gets_the_messages(self, redis_server: RedisServer, tmp_path: Path):
        redis_server.ensure()
        port = free_port()
        config = tmp_path / "sentinel.conf"
        config.write_text(
            f"port {port}\ndir {tmp_path}\nsentinel monitor sales 127.0.0.1 {redis_server.port} 1\n"
            f"unixsocket {tmp_path}/s\n"
        )
        sentinel = subprocess.Popen(
            ["redis-server", str(config), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"sentinel://127.0.0.1:{port}/77"
            settings = CelerySettings(url=url, options={"master_name": "sales"})
            eventually(lambda: bool(publish(settings, works(1))))
            assert taken(CelerySettings(url=redis_server.url(77)), 1) == works(1)
            with pytest.raises(BrokerTrouble, match="names no master"):
                Broker(CelerySettings(url=url, options={"master_name": "stock"}))
        finally:
            sentinel.kill()
            sentinel.wait()


def eventually(met: Callable[[], bool]) -> None:
    """Try again until there is no trouble."""
    waiting = threading.Event()
    for _ in range(int(DEADLINE / 0.05)):
        try:
            assert met()
        except BrokerTrouble as error:
            last = error
            waiting.wait(0.05)
        else:
            return
    raise last


class Desk:
    """The owner of a publisher."""

    def __init__(self, waiting: list[Work]) -> None:
        self.waiting = {work.key: work for work in waiting}
        self.done: list[TryKey] = []
        self.told: list[str] = []
        self.lengths: dict[str, int] = {}
        self._news = threading.Condition()

    def unsent(self, most: int) -> list[Work]:
        return list(self.waiting.values())[:most]

    def sent(self, keys: Collection[TryKey]) -> None:
        with self._news:
            self.done += keys
            for key in keys:
                del self.waiting[key]
            self._news.notify_all()

    def waiting_at(self) -> list[str]:
        return ["default"]

    def measured(self, lengths: dict[str, int], at: float) -> None:
        with self._news:
            self.lengths = lengths
            self._news.notify_all()

    def trouble(self, text: str) -> None:
        with self._news:
            if text not in self.told[-1:]:
                self.told.append(text)
            self._news.notify_all()

    def wait(self, met: Callable[[], bool], what: str) -> None:
        with self._news:
            assert self._news.wait_for(met, DEADLINE), f"waited for {what}; told: {self.told}"


@contextmanager
def publishing(settings: CelerySettings, desk: Desk) -> Iterator[Publisher]:
    line = Publisher(settings, desk)
    line.start()
    yield line
    line.close(DEADLINE)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again at once."""
    monkeypatch.setattr(publisher, "_FIRST_WAIT", 0.05)
    monkeypatch.setattr(publisher, "_LONGEST_WAIT", 0.2)
    monkeypatch.setattr(publisher, "_MEASURE", 0.1)


@pytest.mark.usefixtures("hurried")
class TestThePublisher:
    def test_everything_is_published_and_the_queues_are_measured(self, settings: CelerySettings):
        desk = Desk(works(2000))
        with publishing(settings, desk):
            desk.wait(lambda: len(desk.done) == 2000, "the messages")
            desk.wait(lambda: desk.lengths == {"default": 2000}, "their number")
        assert desk.told == [""]

    def test_what_comes_while_the_broker_is_away_is_published_when_it_is_back(
        self, broker_url: str, request: pytest.FixtureRequest
    ):
        kind = "redis_server" if broker_url.startswith("redis") else "rabbitmq_server"
        server = request.getfixturevalue(kind)
        desk = Desk([])
        with publishing(CelerySettings(url=broker_url), desk) as line:
            desk.wait(lambda: desk.told == [""], "the connection")
            server.kill()
            desk.waiting = {work.key: work for work in works(700)}
            line.ring()
            desk.wait(lambda: desk.told[-1] != "", "the trouble")
            assert "the broker" in desk.told[-1]
            server.start()
            desk.wait(lambda: len(desk.done) == 700, "the messages")
            desk.wait(lambda: desk.told[-1] == "", "the end of the trouble")

    def test_a_redis_without_memory_gets_the_rest_when_it_has_some(self, redis_url: str, redis_server: RedisServer):
        redis_server.set_max_memory(1)
        try:
            desk = Desk(works(700))
            with publishing(CelerySettings(url=redis_url), desk):
                desk.wait(lambda: "out of memory" in "".join(desk.told), "the trouble")
                redis_server.set_max_memory(0)
                desk.wait(lambda: len(desk.done) == 700, "the messages")
        finally:
            redis_server.set_max_memory(0)

    def test_closing_while_the_broker_is_away_waits_for_nothing(self):
        desk = Desk(works(3))
        with publishing(CelerySettings(url=f"redis://127.0.0.1:{free_port()}/0"), desk):
            desk.wait(lambda: bool(desk.told), "the trouble")
        assert desk.done == []
