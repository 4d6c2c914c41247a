"""Reading logs in parts: from any place, from the end, filtered; whatever the file holds."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.operations import log_pages
from airloom.operations.log_pages import (
    LONGEST_SHOWN,
    Part,
    Place,
    Wanted,
    all_lines,
    place_from_end,
    read_part,
    read_rendered,
    shown,
)
from airloom.runtime.logs import TryLog
from airloom.runtime.masking import Masker


def write(path: Path, *texts: str, level: str = "INFO", fields: dict[str, str] | None = None) -> None:
    """Write lines to a log, the rendered fields first."""
    log = TryLog(str(path), Masker(), 100_000_000)
    if fields is not None:
        log.rendered(1_700_000_000.0, fields)
    for text in texts:
        log.record(1_700_000_000.0, level, "root", text)
    log.close()


def part_of(path: Path, place: Place, limit: int, wanted: Wanted = log_pages.EVERYTHING) -> Part:
    """A part of a log in a file."""
    with path.open("rb") as file:
        return read_part(file, place, limit, wanted)


def place_of(path: Path, lines: int) -> Place:
    """Where the last lines of a log in a file begin."""
    with path.open("rb") as file:
        return place_from_end(file, lines)


def texts_of(path: Path) -> list[str]:
    """The lines of a log in a file, as a download has them."""
    with path.open("rb") as file:
        return [line.text for line in all_lines(file)]


def rendered_of(path: Path) -> dict[str, str] | None:
    """The rendered fields of a log in a file."""
    with path.open("rb") as file:
        return read_rendered(file)


def whole(
    path: Path, limit: int, wanted: Wanted = log_pages.EVERYTHING, start: Place | None = None
) -> list[tuple[int, str]]:
    """All lines, part by part."""
    place = start or Place()
    found: list[tuple[int, str]] = []
    while True:
        part = part_of(path, place, limit, wanted)
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
    path.touch()
    write(path, *texts, fields=fields)
    assert whole(path, limit) == list(enumerate(texts, 1))
    assert texts_of(path) == texts
    for count in (0, 1, 3, 100):
        place = place_of(path, count)
        expected = list(enumerate(texts, 1))[-count:] if count else []
        assert whole(path, limit, start=place) == expected


def test_an_empty_log_is_read_on_when_it_has_lines(path: Path) -> None:
    path.touch()
    part = part_of(path, Place(), 10)
    assert (part.lines, part.place, part.at_end) == ([], Place(), True)
    assert place_of(path, 5) == Place()
    assert texts_of(path) == []
    write(path, "one")
    assert whole(path, 10, start=part.place) == [(1, "one")]


def test_a_line_that_is_being_written_waits_for_its_end(path: Path) -> None:
    write(path, "one")
    data = path.read_bytes()
    path.write_bytes(data + data[:20])
    part = part_of(path, Place(), 10)
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
    part = part_of(path, Place(), 1000, Wanted(search="line 99 "))
    assert part.lines == []
    assert not part.at_end
    assert part.place.offset < 3_000
    assert [number for number, _ in whole(path, 1000, Wanted(search="line 99 "))] == [100]
    monkeypatch.setattr(log_pages, "_MOST_GIVEN", 200)
    assert len(part_of(path, Place(), 1000).lines) == 2


def test_a_very_long_line_is_shown_cut_and_downloaded_whole(path: Path) -> None:
    text = "é" * (LONGEST_SHOWN + 5)
    write(path, text, "after")
    [(_, first), after] = whole(path, 10)
    line = part_of(path, Place(), 1).lines[0].line
    assert shown(line).text == "é" * LONGEST_SHOWN + "… (and 5 more characters: the download has them)"
    assert after == (2, "after")
    assert first == texts_of(path)[0] == text


def test_a_heap_of_bytes_without_lines_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, "one")
    monkeypatch.setattr(log_pages, "_NO_LINE", 1_000)
    path.write_bytes(path.read_bytes() + b"x" * 5_500 + b"\n" + path.read_bytes())
    assert [text for _, text in whole(path, 10)] == ["one", "one"]


def test_the_rendered_fields_are_apart_from_the_lines(path: Path) -> None:
    fields = {"bash_command": 'echo "ü"\n', "env": '{"a": "b"}'}
    write(path, "one", fields=fields)
    assert rendered_of(path) == fields
    assert whole(path, 10) == [(1, "one")]


def test_a_log_without_rendered_fields_has_none(path: Path) -> None:
    path.touch()
    assert rendered_of(path) is None
    write(path, "one")
    assert rendered_of(path) is None


def test_secrets_in_rendered_fields_are_masked_also_at_the_cut(path: Path) -> None:
    masker = Masker()
    masker.add(["hunter22"])
    log = TryLog(str(path), masker, 1_000_000)
    log.rendered(0.0, {"command": "login hunter22", "long": "x" * 9_996 + "hunter22", "json": '{"p": "hunter22"}'})
    log.close()
    assert "hunt" not in path.read_text()
    fields = rendered_of(path)
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
    assert rendered_of(path) == {"a": "b"}
    assert whole(path, 10) == [(1, "one")]
    log.rendered(2.0, {"a": "c"})
    log.close()
    assert path.read_text().count('"rendered"') == 2
