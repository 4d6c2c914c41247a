"""JSON Schema for params: the keywords that describe one form field, and no more ($ref and conditions are refused)."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
    "null": (type(None),),
}
_FORMATS: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "date-time": datetime.fromisoformat,
    "time": time.fromisoformat,
}
#: said about a value, but no condition on it
_DESCRIPTIVE = frozenset(
    {
        "$schema",
        "custom_html_form",
        "default",
        "deprecated",
        "description",
        "description_html",
        "description_md",
        "examples",
        "readOnly",
        "section",
        "title",
        "values_display",
    }
)


def broken(schema: Mapping[str, Any], value: Any, name: str = "the value") -> str | None:
    """The first way in which `value` breaks `schema`, as a sentence without its full stop, or None."""
    return next(_problems(schema, value, name), None)


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a schema itself, or None."""
    for keyword, wanted in schema.items():
        if keyword in _DESCRIPTIVE or keyword == "const":
            continue
        if keyword not in _RULES:
            return f"the schema keyword {keyword!r} is not known here; known are {', '.join(sorted(_RULES))}"
        problem = _keyword_problem(keyword, wanted)
        if problem:
            return problem
    return None


def _keyword_problem(keyword: str, wanted: Any) -> str | None:
    if keyword == "type":
        for kind in wanted if isinstance(wanted, list | tuple) else [wanted]:
            if kind not in _TYPES:
                return f"the schema type {kind!r} is not one of {', '.join(_TYPES)}"
    elif keyword == "pattern":
        try:
            re.compile(wanted)
        except (re.error, TypeError) as error:
            return f"the schema pattern {wanted!r} is no regular expression: {error}"
    elif keyword in ("enum", "required") and not isinstance(wanted, list | tuple):
        return f"the schema keyword {keyword!r} needs a list, not {wanted!r}"
    elif keyword in _NUMERIC and (isinstance(wanted, bool) or not isinstance(wanted, int | float)):
        return f"the schema keyword {keyword!r} needs a number, not {wanted!r}"
    elif keyword in ("anyOf", "allOf", "oneOf"):
        if not isinstance(wanted, list | tuple) or not all(isinstance(one, Mapping) for one in wanted):
            return f"the schema keyword {keyword!r} needs a list of schemas, not {wanted!r}"
        return next((problem for one in wanted if (problem := schema_problem(one))), None)
    elif keyword == "properties":
        if not isinstance(wanted, Mapping) or not all(isinstance(one, Mapping) for one in wanted.values()):
            return "the schema keyword 'properties' needs a dict of schemas"
        return next((problem for one in wanted.values() if (problem := schema_problem(one))), None)
    elif keyword in ("items", "not") or (keyword == "additionalProperties" and not isinstance(wanted, bool)):
        return schema_problem(wanted) if isinstance(wanted, Mapping) else f"{keyword!r} needs a schema, not {wanted!r}"
    return None


def _problems(schema: Mapping[str, Any], value: Any, name: str) -> Iterator[str]:
    for keyword, wanted in schema.items():
        rule = _RULES.get(keyword)
        if rule is not None:
            problem = rule(wanted, value, name, schema)
            if problem:
                yield problem
        elif keyword == "const" and not _same(value, wanted):
            yield f"{name} must be {wanted!r}, not {value!r}"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


Rule = Callable[[Any, Any, str, Mapping[str, Any]], str | None]


def _type(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    kinds = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    if any(_is(value, kind) for kind in kinds):
        return None
    return f"{name} must be of type {' or '.join(kinds)}, not {value!r}"


def _enum(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    if any(_same(value, one) for one in wanted):
        return None
    return f"{name} must be one of {', '.join(repr(one) for one in wanted)}, not {value!r}"


def _number(fits: Callable[[Any, Any], bool], words: str) -> Rule:
    def rule(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
        if not _is(value, "number") or fits(value, wanted):
            return None
        return f"{name} must be {words} {wanted}, not {value!r}"

    return rule


def _size(kind: str, fits: Callable[[int, Any], bool], words: str) -> Rule:
    def rule(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
        if not _is(value, kind) or fits(len(value), wanted):
            return None
        return f"{name} must have {words} {wanted} {'characters' if kind == 'string' else 'items'}, not {len(value)}"

    return rule


def _pattern(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str) or re.search(wanted, value):
        return None
    return f"{name} must match the pattern {wanted!r}, which {value!r} does not"


def _format(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    read = _FORMATS.get(wanted)
    if read is None or not isinstance(value, str):
        return None
    try:
        read(value)
    except ValueError:
        return f"{name} must be a {wanted}, not {value!r}"
    return None


def _items(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    if not _is(value, "array"):
        return None
    return next((problem for i, item in enumerate(value) if (problem := broken(wanted, item, f"{name}[{i}]"))), None)


def _unique(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    if not wanted or not _is(value, "array"):
        return None
    twice = next((item for i, item in enumerate(value) if any(_same(item, other) for other in value[:i])), None)
    return None if twice is None else f"{name} has {twice!r} more than once"


def _properties(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    if not isinstance(value, dict):
        return None
    inside = ((key, one) for key, one in wanted.items() if key in value)
    return next((problem for key, one in inside if (problem := broken(one, value[key], f"{name}[{key!r}]"))), None)


def _required(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    missing = [key for key in wanted if key not in value] if isinstance(value, dict) else []
    return f"{name} lacks {missing[0]!r}" if missing else None


def _additional(wanted: Any, value: Any, name: str, schema: Mapping[str, Any]) -> str | None:
    if not isinstance(value, dict) or wanted is True:
        return None
    for key in value:
        if key not in schema.get("properties", {}):
            if wanted is False:
                return f"{name} has {key!r}, which is not among its properties"
            problem = broken(wanted, value[key], f"{name}[{key!r}]")
            if problem:
                return problem
    return None


def _any_of(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    problems = [broken(one, value, name) for one in wanted]
    return None if None in problems else "; or ".join(problem for problem in problems if problem)


def _one_of(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    problems = [broken(one, value, name) for one in wanted]
    if problems.count(None) > 1:
        return f"{name} fits more than one of the schemas that it may fit only one of: {value!r}"
    return None if None in problems else "; or ".join(problem for problem in problems if problem)


def _all_of(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    return next((problem for one in wanted if (problem := broken(one, value, name))), None)


def _not(wanted: Any, value: Any, name: str, _schema: Mapping[str, Any]) -> str | None:
    return f"{name} must not be {value!r}" if broken(wanted, value, name) is None else None


def _multiple(value: Any, step: Any) -> bool:
    return bool(step) and abs(value / step - round(value / step)) < 1e-9


_RULES: dict[str, Rule] = {
    "type": _type,
    "enum": _enum,
    "minimum": _number(lambda value, limit: value >= limit, "at least"),
    "maximum": _number(lambda value, limit: value <= limit, "at most"),
    "exclusiveMinimum": _number(lambda value, limit: value > limit, "more than"),
    "exclusiveMaximum": _number(lambda value, limit: value < limit, "less than"),
    "multipleOf": _number(_multiple, "a multiple of"),
    "minLength": _size("string", lambda size, limit: size >= limit, "at least"),
    "maxLength": _size("string", lambda size, limit: size <= limit, "at most"),
    "minItems": _size("array", lambda size, limit: size >= limit, "at least"),
    "maxItems": _size("array", lambda size, limit: size <= limit, "at most"),
    "pattern": _pattern,
    "format": _format,
    "items": _items,
    "uniqueItems": _unique,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
}
_NUMERIC = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "multipleOf",
    }
)
