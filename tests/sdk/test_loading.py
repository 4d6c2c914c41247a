"""Whatever a DAG file does, parsing it gives an answer."""

import sys
from pathlib import Path

import pytest

from airloom.sdk.loading import import_dags, parse_file
from tests.sdk.trying import parse

GOOD = "from airloom import DAG, EmptyOperator\nwith DAG('d'):\n EmptyOperator(task_id='a')\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x = 1\ndef f(:\n", 2, "SyntaxError: invalid syntax"),
        ("import sys\n\nsys.exit(3)\n", 3, "the file called sys.exit(3) while it was imported"),
        ("\nimport no_such_module_at_all\n", 2, "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        ("def f():\n    raise KeyError('k')\n\nf()\n", 2, "KeyError: 'k'"),
        ("class E(BaseException): pass\nraise E('deep')\n", 2, "E: deep"),
        ("x = '\0'\n", None, "source code string cannot contain null bytes"),
        ("from airloom import Variable\nVariable.get('x')\n", 2, "there is no server to ask here"),
        ("from airloom import Nothing\n", 1, "airloom has no name 'Nothing'; docs/coming-from-airflow.md lists"),
        ("\nfrom airloom import BashOperater\n", 2, "airloom has no name 'BashOperater'; did you mean 'BashOperator'?"),
        ("from airflow.sdk import dag\n", 1, "the file imports airflow: import the same names from airloom"),
    ],
)
def test_a_failing_file_gives_one_error_with_its_line(
    tmp_path: Path, text: str, line: int | None, message: str
) -> None:
    parsed = parse(tmp_path, text)
    (error,) = parsed.errors
    assert message in error.text
    assert error.line == line
    assert parsed.dags == ()


def test_a_file_that_is_not_there_is_an_error_too(tmp_path: Path) -> None:
    parsed = parse_file(str(tmp_path / "gone.py"), "gone.py", "")
    assert "No such file" in parsed.errors[0].text


def test_a_file_without_dags_is_no_error(tmp_path: Path) -> None:
    parsed = parse(tmp_path, "x = 1\n")
    assert (parsed.dags, parsed.errors, parsed.threads) == ((), (), False)
    assert (parsed.rel_path, parsed.file_hash) == ("dags.py", "hash")


def test_threads_that_the_import_leaves_are_told(tmp_path: Path) -> None:
    text = "import threading\nstop = threading.Event()\nthreading.Thread(target=stop.wait, daemon=True).start()\n"
    parsed = parse(tmp_path, GOOD + text)
    assert parsed.threads
    for name in [name for name in sys.modules if name.startswith("airloom_dag_")]:
        getattr(sys.modules[name], "stop", None) and sys.modules[name].stop.set()


def test_dags_are_found_by_name_by_block_and_by_call(tmp_path: Path) -> None:
    text = """from airloom import DAG, dag
named = DAG('named')
with DAG('block'):
    pass
def inside():
    with DAG('in_function'):
        pass
inside()
@dag
def called(): ...
called()
@dag
def not_called(): ...
DAG('dropped')
with DAG('private', auto_register=False):
    pass
"""
    parsed = parse(tmp_path, text)
    assert [spec.dag_id for spec in parsed.dags] == ["block", "called", "in_function", "named"]


def test_dags_of_an_imported_dag_file_stay_with_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "neighbour_of_dags.py").write_text(GOOD)
    parsed = parse(tmp_path, "import neighbour_of_dags\nfrom airloom import DAG\nown = DAG('own')\n")
    assert [spec.dag_id for spec in parsed.dags] == ["own"]


def test_a_factory_in_a_helper_makes_dags_for_the_file_that_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "factory_of_dags.py").write_text("from airloom import DAG\ndef make(x):\n  with DAG(x):\n    pass\n")
    parsed = parse(tmp_path, "from factory_of_dags import make\nfor x in 'ab':\n    make(x)\n")
    assert [spec.dag_id for spec in parsed.dags] == ["a", "b"]


def test_a_file_that_changes_within_a_second_is_read_anew(tmp_path: Path) -> None:
    for name in ("one", "two", "six"):
        parsed = parse(tmp_path, GOOD.replace("'d'", f"'{name}'"))
        assert [spec.dag_id for spec in parsed.dags] == [name]


def test_files_of_the_same_name_are_different_modules(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(GOOD)
    names = {vars(import_dags(str(tmp_path / folder / "same.py"))["d"])["fileloc"] for folder in ("a", "b")}
    assert len(names) == 2


def test_import_dags_raises_what_the_file_raises(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_dags(str(tmp_path / "bad.py"))
