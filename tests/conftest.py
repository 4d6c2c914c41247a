"""Databases and brokers for any test that wants one: `database_url` runs it on SQLite and PostgreSQL, `broker_url` on
Redis and RabbitMQ.

The servers are private to the pytest process (one for each worker of pytest-xdist) and end with it.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from airloom.store.database import Database, connect
from airloom.store.migrate import migrate
from tests.brokers import NO_BROKERS, NoBroker, RabbitServer, RedisServer
from tests.servers import NO_POSTGRES, NoPostgres, PostgresServer

# Servers that tests start take any free port: several run at once, beside whatever else this machine does.
os.environ["AIRLOOM__API__PORT"] = "0"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; the tests fail where its binaries are missing, unless they are told to skip."""
    if os.environ.get(NO_POSTGRES) == "1":
        pytest.skip(f"{NO_POSTGRES}=1 is set: nothing is tested on PostgreSQL")
    try:
        server = PostgresServer()
    except NoPostgres as error:
        pytest.fail(str(error), pytrace=False)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The name of a migrated database that fresh ones are copied from."""
    name = postgres_server.create()
    template = connect(postgres_server.url(name))
    migrate(template)
    template.close()
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that fresh ones are copied from."""
    path = tmp_path_factory.mktemp("sqlite") / "airloom.db"
    template = connect(f"sqlite:///{path}")
    migrate(template)
    template.close()
    return path


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of a database without tables."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, migrated_postgres: str) -> Iterator[str]:
    """The address of a migrated PostgreSQL database, fresh for this test."""
    name = postgres_server.create(migrated_postgres)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The address of a migrated SQLite file, fresh for this test."""
    path = tmp_path / "airloom.db"
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated database, once for each kind."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A migrated database, once for each kind."""
    database = connect(database_url)
    yield database
    database.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis; the tests fail where it is not installed, unless they are told to skip."""
    server = _broker(RedisServer)
    yield server
    server.close()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """A RabbitMQ; the tests fail where it is not installed, unless they are told to skip."""
    server = _broker(RabbitServer)
    yield server
    server.close()


B = TypeVar("B", RedisServer, RabbitServer)


def _broker(kind: type[B]) -> B:
    if os.environ.get(NO_BROKERS) == "1":
        pytest.skip(f"{NO_BROKERS}=1 is set: nothing is tested with a message broker")
    try:
        return kind()
    except NoBroker as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of an empty database at Redis."""
    redis_server.ensure()
    return redis_server.fresh()


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitServer) -> Iterator[str]:
    """The address of an empty virtual host at RabbitMQ."""
    rabbitmq_server.ensure()
    url = rabbitmq_server.fresh()
    yield url
    rabbitmq_server.ensure()
    rabbitmq_server.forget(url)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """The address of an empty broker, once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
