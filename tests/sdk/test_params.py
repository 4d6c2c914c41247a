"""Params: schemas, what a run's conf may say, and @dag functions whose arguments are params."""

from typing import Any

import pytest

from airloom import DAG, Param, ParamsDict, ParamValidationError, dag, task
from airloom.model.errors import DagDefinitionError, InvalidRequest
from airloom.sdk.params import run_params
from airloom.sdk.spec_of import spec_of
from tests.sdk.trying import attempt, returned

#: schema, a value that fits, a value that does not, what is said of it
RULES: list[tuple[dict[str, Any], Any, Any, str]] = [
    ({"type": "integer"}, 1, 1.5, "must be of type integer, not 1.5"),
    ({"type": "integer"}, 2.0, True, "must be of type integer, not True"),
    ({"type": "number"}, 1.5, "1", "must be of type number, not '1'"),
    ({"type": "boolean"}, False, 0, "must be of type boolean, not 0"),
    ({"type": ["string", "null"]}, None, 1, "must be of type string or null, not 1"),
    ({"type": "object"}, {}, [], "must be of type object, not []"),
    ({"enum": ["a", 1]}, 1, True, "must be one of 'a', 1, not True"),
    ({"const": 3}, 3, 4, "must be 3, not 4"),
    ({"minimum": 1}, 1, 0, "must be at least 1, not 0"),
    ({"maximum": 1}, 1, 2, "must be at most 1, not 2"),
    ({"exclusiveMinimum": 1}, 1.1, 1, "must be more than 1, not 1"),
    ({"exclusiveMaximum": 1}, 0, 1, "must be less than 1, not 1"),
    ({"multipleOf": 0.1}, 0.3, 0.25, "must be a multiple of 0.1, not 0.25"),
    ({"minLength": 2}, "ab", "a", "must have at least 2 characters, not 1"),
    ({"maxLength": 2}, "ab", "abc", "must have at most 2 characters, not 3"),
    ({"minItems": 1}, [1], [], "must have at least 1 items, not 0"),
    ({"maxItems": 1}, [1], [1, 2], "must have at most 1 items, not 2"),
    ({"pattern": "^a+$"}, "aa", "ab", "must match the pattern '^a+$', which 'ab' does not"),
    ({"format": "date"}, "2026-01-31", "2026-01-32", "must be a date, not '2026-01-32'"),
    ({"format": "date-time"}, "2026-01-31T00:00:00Z", "soon", "must be a date-time, not 'soon'"),
    ({"items": {"type": "string"}}, ["a"], ["a", 1], "[1] must be of type string, not 1"),
    ({"uniqueItems": True}, [1, 2], [1, 1], "has 1 more than once"),
    ({"properties": {"k": {"type": "string"}}}, {"k": "v"}, {"k": 1}, "['k'] must be of type string, not 1"),
    ({"required": ["k"]}, {"k": 1}, {}, "lacks 'k'"),
    ({"properties": {}, "additionalProperties": False}, {}, {"k": 1}, "has 'k', which is not among its properties"),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, 5, 4, "must be of type string, not 4; or the param 'p' must be"),
    ({"oneOf": [{"minimum": 5}, {"maximum": 5}]}, 4, 5, "fits more than one of the schemas"),
    ({"allOf": [{"minimum": 5}, {"maximum": 5}]}, 5, 6, "must be at most 5, not 6"),
    ({"not": {"type": "string"}}, 1, "a", "must not be 'a'"),
]


@pytest.mark.parametrize(("schema", "good", "bad", "message"), RULES)
def test_a_conf_is_checked_against_the_schema(schema: dict[str, Any], good: Any, bad: Any, message: str) -> None:
    params = spec_of(DAG("d", params={"p": Param(**schema)})).params
    assert run_params(params, {"p": good}) == {"p": good}
    with pytest.raises(InvalidRequest) as caught:
        run_params(params, {"p": bad})
    assert str(caught.value).startswith("the param 'p'")
    assert message in str(caught.value)


def test_a_run_has_the_defaults_and_what_the_conf_says() -> None:
    params = spec_of(DAG("d", params={"a": 1, "b": Param(2, type="integer")})).params
    assert run_params(params, {"b": 3, "c": 4}) == {"a": 1, "b": 3, "c": 4}


def test_a_param_without_default_must_be_given() -> None:
    params = spec_of(DAG("d", params={"a": Param(type="string")})).params
    with pytest.raises(InvalidRequest, match="the param 'a' has no default, so a value must be given in the conf"):
        run_params(params, {})


def test_a_default_that_breaks_its_schema_must_be_replaced_by_the_run() -> None:
    params = spec_of(DAG("d", params={"a": Param(None, type="string")})).params
    assert run_params(params, {"a": "x"}) == {"a": "x"}
    with pytest.raises(InvalidRequest, match="the param 'a' must be of type string, not None"):
        run_params(params, {})


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "text"}, "the schema type 'text' is not one of"),
        ({"pattern": "("}, "is no regular expression"),
        ({"enum": "abc"}, "needs a list, not 'abc'"),
        ({"minimum": "1"}, "needs a number, not '1'"),
        ({"items": 5}, "needs a schema, not 5"),
        ({"anyOf": [{"type": "x"}]}, "the schema type 'x'"),
        ({"properties": {"k": {"$ref": "#"}}}, "the schema keyword '$ref' is not known here"),
    ],
)
def test_a_schema_that_cannot_be_is_refused_where_it_is_written(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(DagDefinitionError) as caught:
        Param(1, **schema)
    assert message in str(caught.value)
    assert caught.value.filename == __file__


def test_descriptive_keywords_say_nothing_about_the_value() -> None:
    param = Param(1, "words", title="T", section="S", examples=[2], description_md="*x*")
    assert param.dump() == {
        "value": 1,
        "schema": {"title": "T", "section": "S", "examples": [2], "description_md": "*x*", "description": "words"},
    }


def test_params_read_as_values_and_keep_their_schema_when_set() -> None:
    params = ParamsDict({"n": Param(1, type="integer"), "free": "x"})
    assert dict(params) == {"n": 1, "free": "x"}
    params["n"] = 2
    assert params.get_param("n").schema == {"type": "integer"}
    params["n"] = "two"
    with pytest.raises(ParamValidationError, match="must be of type integer"):
        params["n"]
    del params["free"]
    assert "free" not in params


def test_the_arguments_of_a_dag_function_are_params() -> None:
    @dag(params={"typed": Param(5, type="integer")})
    def pipeline(name: str, greeting: str = "hello", typed: Any = None) -> None:
        """What it does."""

        @task
        def say(first: str, second: str, template: str) -> str:
            return f"{first} {second} {template}"

        say(greeting, name, template=f"{greeting} and {{{{ params.typed }}}}")

    made = pipeline("ada", typed=6)
    assert (made.dag_id, made.doc_md) == ("pipeline", "What it does.")
    assert dict(made.params) == {"name": "ada", "greeting": "hello", "typed": 6}
    assert made.params.get_param("typed").schema == {"type": "integer"}
    operator = made.get_task("say")
    assert returned(attempt(operator))["return_value"] == "hello ada hello and 6"
    assert returned(attempt(operator, conf={"name": "bob"}))["return_value"] == "hello bob hello and 6"


def test_an_argument_of_a_dag_function_without_value_is_a_param_that_must_be_given() -> None:
    @dag(dag_id="other")
    def pipeline(name: str) -> None: ...

    made = pipeline()
    assert made.dag_id == "other"
    assert spec_of(made).params == {"name": {"schema": {}}}


def test_a_wrong_argument_of_a_dag_function_is_told() -> None:
    @dag
    def pipeline() -> None: ...

    with pytest.raises(DagDefinitionError, match=r"pipeline\(\): got an unexpected keyword argument 'x'"):
        pipeline(x=1)
