"""Reads Dockerfiles, and finds in them what is wrong by rules that matter for these ones."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_ARGUMENT = re.compile(r"\$\{?(\w+)\}?")
_PINNED = re.compile(r"[\w./-]+:v?\d+(\.\d+)*(-\w+)*$")


class Instruction(NamedTuple):
    """One instruction: its name in capitals and the rest, with its lines joined. stage: how many FROM came before."""

    name: str
    rest: str
    line: int
    stage: int


def read(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile."""
    found: list[Instruction] = []
    parts: list[str] = []
    first = stage = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        first = first if parts else number
        parts.append(line.removesuffix("\\").strip())
        if line.endswith("\\"):
            continue
        name, _, rest = " ".join(parts).partition(" ")
        stage += name.upper() == "FROM"
        found.append(Instruction(name.upper(), rest.strip(), first, stage))
        parts = []
    return found


def complaints(text: str) -> list[str]:
    """What is wrong, each with its line."""
    instructions = read(text)
    return [f"line {line}: {what}" for line, what in sorted(_complaints(instructions))]


def _complaints(instructions: list[Instruction]) -> Iterator[tuple[int, str]]:
    arguments = _arguments(instructions)
    stages: set[str] = set()
    for one in instructions:
        if one.name == "FROM":
            yield from ((one.line, what) for what in _base(one, arguments, stages))
        elif one.name == "ADD":
            yield one.line, "ADD fetches and unpacks by itself: use COPY"
        elif one.name == "RUN":
            yield from ((one.line, what) for what in _run(one.rest))
        elif one.name in ("ENTRYPOINT", "CMD", "SHELL") and not one.rest.startswith("["):
            yield one.line, f"{one.name} is not in exec form: signals would go to a shell"
        elif one.name in ("ENV", "ARG") and re.search(r"(?i)(password|secret|token)\w*=\S", one.rest):
            yield one.line, "a secret would stay in the image"
        elif one.name == "COPY" and one.stage == instructions[-1].stage and not _is_owned(one.rest):
            yield one.line, "COPY into the image that is kept does not say whose it is"
    yield from _ending([one for one in instructions if one.stage == instructions[-1].stage])


def _is_owned(rest: str) -> bool:
    """What goes to /tmp is removed again, so it need not be."""
    return "--chown=" in rest or rest.split()[-1].startswith("/tmp/")


def _arguments(instructions: list[Instruction]) -> dict[str, str]:
    """The defaults of the arguments before the first FROM: those that a FROM may use."""
    given = [one.rest for one in instructions if one.name == "ARG" and one.stage == 0]
    return {name: value for name, _, value in (rest.partition("=") for rest in given)}


def _base(one: Instruction, arguments: dict[str, str], stages: set[str]) -> Iterator[str]:
    words = one.rest.split()
    image = _ARGUMENT.sub(lambda match: arguments.get(match[1], ""), words[0])
    if image not in stages and image != "scratch":
        if not _PINNED.match(image):
            yield f"the version of {image or words[0]} is not said"
        if "." in image.split("/")[0] and "/" in image:
            yield f"{image} names a registry"
    if len(words) == 3:
        stages.add(words[2])


def _run(rest: str) -> Iterator[str]:
    if "apt-get install" in rest:
        if "--no-install-recommends" not in rest:
            yield "apt-get installs what is only recommended"
        if "rm -rf /var/lib/apt/lists" not in rest or "apt-get update" not in rest:
            yield "apt's lists are not fetched and removed in the same layer"
    if re.search(r"\b(curl|wget)\b", rest):
        yield "something is downloaded past the package managers"
    if re.search(r"\bpip install\b", rest):
        if "--no-cache-dir" not in rest and "--mount=type=cache" not in rest:
            yield "pip's cache stays in the layer"
        if "--constraint" not in rest:
            yield "pip installs whatever is newest"
    if re.search(r"\bsudo\b|chmod (-R )?0?777", rest):
        yield "sudo and open rights have no place here"


def _ending(last: list[Instruction]) -> Iterator[tuple[int, str]]:
    users = [one for one in last if one.name == "USER"]
    if not users or users[-1].rest.split(":")[0] in ("root", "0"):
        yield last[-1].line, "the image runs as root"
    elif not re.fullmatch(r"\d+:\d+", users[-1].rest):
        yield users[-1].line, "Kubernetes can tell that a user is not root by its number only"
    kept = {one.name: one.rest for one in last}
    if "ENTRYPOINT" in kept and "STOPSIGNAL" not in kept:
        yield last[-1].line, "STOPSIGNAL is not said"
