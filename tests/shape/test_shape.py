"""The shape of the code: sizes, signatures, names. What breaks a rule is listed here with its reason, or is changed.

The list may only shrink: an entry that is no longer needed fails the test as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "airloom"
FILE_LINES, FUNCTION_LINES, CLASS_METHODS, PARAMETERS = 500, 60, 20, 7
VAGUE_NAMES = {"core", "common", "utils", "util", "helpers", "helper", "misc", "base_utils"}

#: "where: which rule" -> why it has to be
EXCEPTIONS: dict[str, str] = {
    "sdk/dag.py __init__: function over 60 lines": "a line for each of the arguments that Airflow's users know",
    "sdk/operator.py __init__: function over 60 lines": "a line for each of the arguments that every task has",
    "sdk/operator.py BaseOperator: class over 20 methods": "small properties that custom operators rely on",
    "store/migrations/versions/0001_first_tables.py _runs: function over 60 lines": "a frozen list of tables",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files() -> list[Path]:
    """Every Python file of ours, by path."""
    folders = ("src", "tests", "benchmarks", "examples", "docs")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if "build" not in path.parts)


def lines_of(node: Function) -> int:
    """How many lines a function has, from its `def` to its end, without its docstring."""
    documented = ast.get_docstring(node) is not None
    docstring = (node.body[0].end_lineno or 0) - node.body[0].lineno + 1 if documented else 0
    return (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def parameters_of(node: Function) -> int:
    """How many parameters a caller may give: self and cls, *args and **kwargs do not count."""
    names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (1 if names[:1] in (["self"], ["cls"]) else 0)


def is_vocabulary(node: ast.ClassDef) -> bool:
    """Whether the class is one whose constructor's arguments are what DAG authors write."""
    return node.name in ("DAG", "TaskGroup", "Connection") or node.name.endswith(("Operator", "Sensor"))


def offences_of_nodes(where: str, tree: ast.Module, in_package: bool) -> Iterator[str]:
    """What breaks a rule inside one file."""
    constructors = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and is_vocabulary(node)
        for child in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, Function):
            if lines_of(node) > FUNCTION_LINES:
                yield f"{where} {node.name}: function over {FUNCTION_LINES} lines"
            if parameters_of(node) > PARAMETERS and not (node.name == "__init__" and node in constructors):
                yield f"{where} {node.name}: over {PARAMETERS} parameters"
            if in_package and any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in ast.walk(node)):
                yield f"{where} {node.name}: import inside a function"
        elif isinstance(node, ast.ClassDef):
            if sum(isinstance(child, Function) for child in node.body) > CLASS_METHODS:
                yield f"{where} {node.name}: class over {CLASS_METHODS} methods"
            if in_package and node.name.endswith("Manager"):
                yield f"{where} {node.name}: a name that says nothing"


def offences() -> Iterator[str]:
    """Everything in the tree that breaks a rule, as "where: which rule"."""
    for path in python_files():
        in_package = path.is_relative_to(PACKAGE)
        where = str(path.relative_to(PACKAGE if in_package else ROOT))
        text = path.read_text("utf-8")
        tree = ast.parse(text, where)
        if text.count("\n") > FILE_LINES:
            yield f"{where}: file over {FILE_LINES} lines"
        if text.strip() and in_package and ast.get_docstring(tree) is None:
            yield f"{where}: module without a docstring"
        if VAGUE_NAMES & {path.stem, *path.relative_to(ROOT).parent.parts}:
            yield f"{where}: a name that says nothing"
        yield from offences_of_nodes(where, tree, in_package)


def test_no_file_breaks_a_rule_without_a_listed_reason() -> None:
    unlisted = sorted(set(offences()) - set(EXCEPTIONS))
    assert not unlisted, "change these, or list them with a reason:\n" + "\n".join(unlisted)


def test_every_listed_exception_is_still_needed_and_has_a_reason() -> None:
    needless = sorted(set(EXCEPTIONS) - set(offences()))
    assert not needless, "no longer needed, take these off the list:\n" + "\n".join(needless)
    assert all(len(reason.split()) >= 5 for reason in EXCEPTIONS.values())


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("def f():\n" + "    x = 1\n" * 60, "function over 60 lines"),
        ("def f(a, b, c, d, e, f, g, h): ...", "over 7 parameters"),
        ("def f():\n    import os\n", "import inside a function"),
        ("class C:\n" + "    def m(self): ...\n" * 21, "class over 20 methods"),
        ("class PoolManager: ...", "a name that says nothing"),
    ],
)
def test_the_rules_catch_what_they_are_for(source: str, rule: str) -> None:
    found = list(offences_of_nodes("a.py", ast.parse(source), in_package=True))
    assert len(found) == 1
    assert found[0].endswith(rule)


def test_the_longest_function_that_is_allowed_passes() -> None:
    source = 'def f():\n    """Says\n    more."""\n' + "    x = 1\n" * 59
    assert list(offences_of_nodes("a.py", ast.parse(source), in_package=True)) == []
