"""Reading logs in parts: from any place, from the end, filtered; whatever the file holds."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.runtime import log_pages
from airloom.runtime.log_pages import (
    LONGEST_SHOWN,
    Place,
    Wanted,
    all_lines,
    place_from_end,
    read_part,
    read_rendered,
)
from airloom.runtime.logs import TryLog, read_log
from airloom.runtime.masking import Masker


def write(path: Path, *texts: str, level: str = "INFO", fields: dict[str, str] | None = None) -> None:
    """Write lines to a log, the rendered fields first."""
    log = TryLog(str(path), Masker(), 100_000_000)
    if fields is not None:
        log.rendered(1_700_000_000.0, fields)
    for text in texts:
        log.record(1_700_000_000.0, level, "root", text)
    log.close()


def whole(
    path: Path, limit: int, wanted: Wanted = log_pages.EVERYTHING, start: Place | None = None
) -> list[tuple[int, str]]:
    """All lines, part by part."""
    place = start or Place()
    found: list[tuple[int, str]] = []
    while True:
        part = read_part(str(path), place, limit, wanted)
        assert len(part.lines) <= limit
        found += [(entry.number, entry.line.text) for entry in part.lines]
        place = part.place
        if part.at_end:
            return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "attempt=1.log"


_TEXTS = st.lists(st.text(max_size=20), max_size=20)


@given(texts=_TEXTS, limit=st.integers(1, 7), fields=st.none() | st.just({"a": '"source":"rendered"'}))
@settings(max_examples=50, deadline=None)
def test_parts_of_any_size_are_the_whole_and_numbered_from_one(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], limit: int, fields: dict[str, str] | None
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    write(path, *texts, fields=fields)
    assert whole(path, limit) == list(enumerate(texts, 1))
    assert [line.text for line in all_lines(str(path))] == texts
    for count in (0, 1, 3, 100):
        place = place_from_end(str(path), count)
        expected = list(enumerate(texts, 1))[-count:] if count else []
        assert whole(path, limit, start=place) == expected


def test_a_log_that_is_not_there_yet_is_empty_and_read_on_when_it_is(path: Path) -> None:
    part = read_part(str(path), Place(), 10)
    assert (part.lines, part.place, part.at_end) == ([], Place(), True)
    assert place_from_end(str(path), 5) == Place()
    assert list(all_lines(str(path))) == []
    write(path, "one")
    assert whole(path, 10, start=part.place) == [(1, "one")]


def test_a_line_that_is_being_written_waits_for_its_end(path: Path) -> None:
    write(path, "one")
    data = path.read_bytes()
    path.write_bytes(data + data[:20])
    part = read_part(str(path), Place(), 10)
    assert (len(part.lines), part.at_end, part.place.offset) == (1, True, len(data))
    path.write_bytes(data + data)
    assert whole(path, 10, start=part.place) == [(2, "one")]


def test_a_torn_line_is_passed_over(path: Path) -> None:
    write(path, "one", "two")
    path.write_bytes(b'{"t":"20\n\xff\xfe\n' + path.read_bytes())
    assert [text for _, text in whole(path, 1)] == ["one", "two"]


def test_lines_are_chosen_by_level_and_by_text_in_any_case(path: Path) -> None:
    write(path, "began")
    write(path, "Straße is long", level="WARNING")
    write(path, "it failed", level="ERROR")
    write(path, "of my own", level="NOTICE")
    assert whole(path, 10, Wanted(level="WARNING")) == [(2, "Straße is long"), (3, "it failed")]
    assert whole(path, 10, Wanted(level="INFO"))[-1] == (4, "of my own")
    assert whole(path, 10, Wanted(search="STRASSE")) == [(2, "Straße is long")]
    assert whole(path, 10, Wanted(level="ERROR", search="strasse")) == []


def test_one_part_reads_and_gives_only_so_much(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_pages, "_MOST_READ", 2_000)
    write(path, *(f"line {number} {'x' * 100}" for number in range(100)))
    part = read_part(str(path), Place(), 1000, Wanted(search="line 99 "))
    assert part.lines == []
    assert not part.at_end
    assert part.place.offset < 3_000
    assert [number for number, _ in whole(path, 1000, Wanted(search="line 99 "))] == [100]
    monkeypatch.setattr(log_pages, "_MOST_GIVEN", 200)
    assert len(read_part(str(path), Place(), 1000).lines) == 2


def test_a_very_long_line_is_shown_cut_and_downloaded_whole(path: Path) -> None:
    text = "é" * (LONGEST_SHOWN + 5)
    write(path, text, "after")
    [(_, shown), after] = whole(path, 10)
    assert shown == "é" * LONGEST_SHOWN + "… (and 5 more characters: the download has them)"
    assert after == (2, "after")
    assert next(all_lines(str(path))).text == text


def test_a_heap_of_bytes_without_lines_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, "one")
    monkeypatch.setattr(log_pages, "_NO_LINE", 1_000)
    path.write_bytes(path.read_bytes() + b"x" * 5_500 + b"\n" + path.read_bytes())
    assert [text for _, text in whole(path, 10)] == ["one", "one"]


def test_the_rendered_fields_are_apart_from_the_lines(path: Path) -> None:
    fields = {"bash_command": 'echo "ü"\n', "env": '{"a": "b"}'}
    write(path, "one", fields=fields)
    assert read_rendered(str(path)) == fields
    assert whole(path, 10) == [(1, "one")]
    assert [line.text for line in read_log(str(path))[0]] == ["one"]


def test_a_log_without_rendered_fields_has_none(path: Path) -> None:
    assert read_rendered(str(path)) is None
    write(path, "one")
    assert read_rendered(str(path)) is None


def test_secrets_in_rendered_fields_are_masked_also_at_the_cut(path: Path) -> None:
    masker = Masker()
    masker.add(["hunter22"])
    log = TryLog(str(path), masker, 1_000_000)
    log.rendered(0.0, {"command": "login hunter22", "long": "x" * 9_996 + "hunter22", "json": '{"p": "hunter22"}'})
    log.close()
    assert "hunt" not in path.read_text()
    fields = read_rendered(str(path))
    assert fields is not None
    assert fields["command"] == "login ***"
    assert fields["json"] == '{"p": "***"}'


def test_rendered_fields_wait_for_the_next_line_or_for_the_end(path: Path) -> None:
    log = TryLog(str(path), Masker(), 1_000_000)
    log.rendered(0.0, {"a": "b"})
    assert not path.exists()
    assert log.waits
    log.record(1.0, "INFO", "root", "one")
    assert not log.waits
    assert read_rendered(str(path)) == {"a": "b"}
    assert whole(path, 10) == [(1, "one")]
    log.rendered(2.0, {"a": "c"})
    log.close()
    assert path.read_text().count('"rendered"') == 2
