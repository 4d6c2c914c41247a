"""Writes the pages of docs/ that are made from the code: states.md and settings.md. `make docs` runs it."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from airloom.model.states import FINISHED, MOVES, Actor, TIState
from airloom.sections import Settings
from airloom.settings import describe, load

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py. Change the code that it is made from, then run `make docs`. -->\n"
#: what ends a label in Mermaid
LABEL = re.compile("[:;]")

MARKS = """\
## Marks

A user may say how task instances have ended: `airloom tasks mark DAG RUN success|failed|skipped TASK…`. A try that is
live is cancelled, its slots are free at once, and what it reports later is refused. What follows follows by its trigger
rule, as after any other end. Where the mark is no failure, task instances downstream that are `upstream_failed` get
another chance; those that ran, or were skipped, stay as they are: clear them to have them run again. A run that had
ended goes back to work, or gets the state that its tasks now give it.

`airloom runs mark DAG RUN success|failed` ends a run at once, or has one that has ended count so. As success, all its
task instances count as succeeded, but those that were skipped. As failed, those with a live try count as failed, and
those that have not started as skipped. `--dry-run` shows what a mark would change.
"""


def diagram() -> Iterator[str]:
    """The moves that happen without a user, as a Mermaid state diagram."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {TIState.NONE}"
    for (start, end), (actor, why) in MOVES.items():
        if actor is not Actor.USER:
            yield f"    {start} --> {end}: {LABEL.sub(',', why)}"
    for state in TIState:
        if state in FINISHED:
            yield f"    {state} --> [*]"


def states_page() -> str:
    """docs/states.md."""
    rows = [f"| {start} | {end} | {actor} | {why} |" for (start, end), (actor, why) in MOVES.items()]
    lines = [
        "# The states of a task instance",
        "",
        NOTE,
        "One table in `src/airloom/model/states.py` lists every move that a task instance may make. Nothing else in",
        "the code changes a state without asking it. The diagram shows the moves that happen by themselves; the table",
        "has those of users as well.",
        "",
        "```mermaid",
        *diagram(),
        "```",
        "",
        "| from | to | by whom | why |",
        "|---|---|---|---|",
        *rows,
        "",
        "Finished states: " + ", ".join(f"`{state}`" for state in TIState if state in FINISHED) + ".",
        "",
        MARKS,
    ]
    return "\n".join(lines)


def settings_page() -> str:
    """docs/settings.md."""
    home = Path("/HOME")
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    lines = [
        "# Settings",
        "",
        NOTE,
        "Write settings in `airloom.toml` in Airloom's home, or give them as environment variables named",
        "`AIRLOOM__SECTION__KEY`. A variable wins over the file. With `_FILE` at its end it names a file",
        "that holds the value, as container platforms give secrets: `AIRLOOM__DATABASE__URL_FILE=/run/secrets/url`.",
        "`AIRLOOM_HOME` is the home; without it, `~/airloom`.",
        'Durations are seconds or texts such as `"90s"`, `"10m"`, `"7d"`; sizes are bytes or texts such as `"2GiB"`.',
        "`airloom config list` shows each value and where it comes from. A wrong name or value stops the start with a",
        "sentence that names it.",
    ]
    section = ""
    for setting in describe(load({"AIRLOOM_HOME": str(home)}, Path("/"))):
        if setting.section != section:
            section = setting.section
            lines += ["", f"## [{section}]", "", str(sections[section].__doc__), ""]
            lines += ["| key | default | meaning |", "|---|---|---|"]
        # Where the text tells the default, the value is this machine's.
        default = (
            ""
            if "default:" in setting.doc or setting.key == "home"
            else f"`{msgspec.json.encode(setting.value).decode()}`"
        )
        lines.append(f"| `{setting.key}` | {default} | {setting.doc} |")
    lines += ["", "## [bundles.NAME]", "", "Where DAG code comes from, a table for each: [bundles.md](bundles.md)."]
    return "\n".join([*lines, ""])


PAGES = {"states.md": states_page, "settings.md": settings_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")
        print(f"docs/{name}")
