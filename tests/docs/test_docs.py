"""The documents: their links lead somewhere, their code compiles, their DAGs run, their tables are complete."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.model.reasons import ReasonKind
from airloom.model.spec import TriggerRule

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)]+)\)")
GENERATED: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "generate.py"))["PAGES"]


def name_of(path: Path) -> str:
    """How a page is called in the test's id."""
    return str(path.relative_to(ROOT))


def code_blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == language]


def anchors(page: Path) -> set[str]:
    """The anchors that the page's headings get."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Links of a page to files and headings that are not there."""
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def table_rows(page: Path) -> list[str]:
    """What stands in backticks in the first column of the page's tables."""
    return re.findall(r"^\| `(\w+)` \|", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_or_heading_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_a_link_to_nothing_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](gone.md) [b](#one) [c](#two) [d](page.md#one)\n```\n[e](gone.md)\n```\n", "utf-8")
    assert list(broken_links(page)) == ["gone.md", "#two"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_code_compiles(page: Path) -> None:
    for block in code_blocks(page, "python"):
        compile(block, name_of(page), "exec")


@pytest.mark.parametrize("page", sorted(GENERATED))
def test_generated_pages_are_up_to_date(page: str) -> None:
    assert (ROOT / "docs" / page).read_text("utf-8") == GENERATED[page](), "run `make docs`"


def test_every_reason_and_every_trigger_rule_is_described_once() -> None:
    reasons = table_rows(ROOT / "docs" / "explain.md")
    assert sorted(reasons) == sorted(ReasonKind)
    rules = [row for row in table_rows(ROOT / "docs" / "authoring.md") if row in set(TriggerRule)]
    assert sorted(rules) == sorted(TriggerRule)


def whole_files() -> dict[str, str]:
    """The blocks of the README, the tutorial and the reference that are whole DAG files, by a file name."""
    found = {}
    for page in (ROOT / "README.md", ROOT / "docs" / "tutorial.md", ROOT / "docs" / "authoring.md"):
        for number, block in enumerate(code_blocks(page, "python")):
            if "@task" in block or "with DAG" in block:
                found[f"{page.stem.lower()}_{number}.py"] = block
    return found


def run(file: Path, dag_id: str | None = None) -> dict[str, Any]:
    """`airloom run` on a file, as JSON."""
    command = [Path(sys.executable).with_name("airloom"), "run", file, "-o", "json"]
    done = subprocess.run(
        command + (["--dag", dag_id] if dag_id else []),
        capture_output=True,
        text=True,
        timeout=100,
        cwd=file.parent,
        env={name: value for name, value in os.environ.items() if not name.startswith("AIRLOOM")}
        | {"AIRLOOM_HOME": str(file.parent / "home")},
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", sorted(whole_files()))
def test_the_dags_in_the_documents_run(name: str, tmp_path: Path) -> None:
    source = whole_files()[name]
    file = tmp_path / name
    file.write_text(source, "utf-8")
    dag_ids = re.findall(r'with DAG\(\s*"(\w+)"', source) + re.findall(r"^@dag.*?^def (\w+)", source, re.M | re.S)
    assert dag_ids
    for dag_id in dag_ids:
        answer = run(file, dag_id)
        assert answer["state"] == "success"
        assert {ti["state"] for ti in answer["tasks"]} == {"success"}


def test_the_tutorial_tells_what_happens(tmp_path: Path) -> None:
    blocks = {
        block.splitlines()[0].removeprefix("# "): block for block in code_blocks(ROOT / "docs/tutorial.md", "python")
    }
    file = tmp_path / "weather_params.py"
    file.write_text(blocks["weather_params.py"], "utf-8")
    assert {ti["task_id"]: ti["try_number"] for ti in run(file)["tasks"]} == {"measure": 2, "count_warm": 1}

    file = tmp_path / "weather_stations.py"
    file.write_text(blocks["weather_stations.py"], "utf-8")
    assert [ti["map_index"] for ti in run(file)["tasks"] if ti["task_id"] == "measure"] == [0, 1, 2]


def commands() -> set[tuple[str, ...]]:
    """Each `airloom` command that the documents show: its words before the arguments, and its options.

    Not where a namespace, a release or the chart is called so.
    """
    found = set()
    for page in PAGES:
        for block in code_blocks(page, "sh"):
            for words in re.findall(
                r"(?:^|[ /;])(?<!-n )(?<!install )(?<!helm/)airloom ([^#;\n]+)", block, re.MULTILINE
            ):
                names = tuple(re.findall(r"^[a-z]+(?: [a-z]+(?:-[a-z]+)*)?", words)[0].split())
                names = names[:1] if names[0] in ("run", "explain", "standalone") else names
                found.add((*names, *re.findall(r"--[a-z-]+", words)))
    return found


@pytest.mark.parametrize("command", sorted(commands()), ids=" ".join)
def test_the_commands_in_the_documents_exist(command: tuple[str, ...]) -> None:
    names = [word for word in command if not word.startswith("-")]
    done = subprocess.run(
        [Path(sys.executable).with_name("airloom"), *names, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert [option for option in command if option.startswith("-") and option not in done.stdout] == []
