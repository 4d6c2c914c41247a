"""The object store of logs: what is wrong with it is said in a sentence, and nothing secret with it."""

import io
from pathlib import Path
from typing import Any

import pytest

from airloom.model.errors import LogsAway, NotFound, SettingsError
from airloom.operations.log_store import LogStore, places_of
from airloom.settings import describe, load


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3:/bucket", "'s3:/bucket', which is no address such as s3://bucket/path; a folder is file:///path"),
        ("wasabi://bucket", "'wasabi' is no kind of store that fsspec knows"),
    ],
)
def test_an_address_that_is_none_is_said(url: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        LogStore(url, {}).check()
    assert says in str(error.value)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> Any:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    store = LogStore("s3://bucket/logs", {})
    for call in (store.check, lambda: store.open("x")):
        with pytest.raises(SettingsError, match="what reaches it is not installed: Install s3fs"):
            call()


def test_objects_are_written_again_read_and_deleted(tmp_path: Path) -> None:
    store = LogStore(f"file://{tmp_path}/deep/down", {})
    store.check()
    for text in (b"one", b"another"):
        assert store.put("a=1/b=%2F/c.log", io.BytesIO(text)) == len(text)
    with store.open("a=1/b=%2F/c.log") as file:
        assert store.read(file, 2, 3) == b"oth"
    assert [path.name for path in tmp_path.rglob("*.log")] == ["c.log"]
    store.delete("a=1/b=%2F/c.log")
    store.delete("a=1/b=%2F/c.log")
    with pytest.raises(NotFound):
        store.open("a=1/b=%2F/c.log")


def test_what_a_store_says_is_told_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Talkative:
        def __init__(self) -> None:
            self.options = {"key": "hunter2", "more": {"list": ["hunter3"]}}

        def open(self, *_: object, **__: object) -> None:
            raise RuntimeError(f"no entry at s3://me:hunter4@bucket with {self.options}")

    store = LogStore("s3://me:hunter4@bucket", Talkative().options)
    monkeypatch.setitem(store.__dict__, "_place", (Talkative(), "bucket"))
    with pytest.raises(LogsAway, match="cannot be read: no entry at") as error:
        store.open("x")
    assert "hunter" not in str(error.value)


def test_the_store_is_set_in_the_file_or_by_variables_and_its_options_are_secret(tmp_path: Path) -> None:
    variables = {
        "AIRLOOM_HOME": str(tmp_path),
        "AIRLOOM__LOGS__STORE": "s3://me:hunter2@bucket/logs",
        "AIRLOOM__LOGS__STORE_OPTIONS": '{"secret": "hunter3", "client_kwargs": {"endpoint_url": "https://minio"}}',
    }
    loaded = load(variables, tmp_path)
    assert loaded.settings.logs.store_options["client_kwargs"] == {"endpoint_url": "https://minio"}
    shown = {info.key: info.value for info in describe(loaded) if info.section == "logs"}
    assert "hunter" not in str(shown)
    places = places_of(loaded.settings)
    assert places.folder == tmp_path / "logs"
    assert places.store is not None
    assert "hunter" not in places.store.address
    assert places_of(load({"AIRLOOM_HOME": str(tmp_path)}, tmp_path).settings).store is None
