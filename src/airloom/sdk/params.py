"""Params: the values that a run can be given, with a default and a JSON schema each."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from airloom.model.errors import InvalidRequest
from airloom.model.spec import param_defaults
from airloom.sdk.exceptions import ParamValidationError
from airloom.sdk.json_schema import broken, schema_problem
from airloom.sdk.resolving import Resolvable
from airloom.sdk.source import definition_error
from airloom.sdk.xcom import MISSING

if TYPE_CHECKING:
    from airloom.sdk.dag import DAG


class Param:
    """A param's default and what its value must be like: `Param(5, type="integer", minimum=1, title="Batch size")`.

    Without a default, a value must be given whenever the DAG is triggered.
    """

    def __init__(self, default: Any = MISSING, description: str | None = None, **schema: Any) -> None:
        nested = schema.pop("schema", None)
        self.value = default
        self.description = description
        self.schema: dict[str, Any] = {**(nested or {}), **schema}
        problem = schema_problem(self.schema)
        if problem:
            raise definition_error(f"Param: {problem}")

    @property
    def has_value(self) -> bool:
        """Whether there is a default."""
        return self.value is not MISSING

    def resolve(self, value: Any = MISSING) -> Any:
        """`value`, or the default, if it fits the schema; raises ParamValidationError."""
        wanted = self.value if value is MISSING else value
        if wanted is MISSING:
            raise ParamValidationError("the param has no value and no default")
        problem = broken(self.schema, wanted)
        if problem:
            raise ParamValidationError(problem)
        return wanted

    def dump(self) -> dict[str, Any]:
        """The form that a spec holds: {"value": ..., "schema": {...}}."""
        schema = {**self.schema, "description": self.description} if self.description else self.schema
        return {"value": self.value, "schema": schema} if self.has_value else {"schema": schema}


class ParamsDict(MutableMapping[str, Any]):
    """Params by name. Reading gives values; `get_param` gives the Param."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        self._params: dict[str, Param] = {}
        self.update(params or {})

    def get_param(self, name: str) -> Param:
        """The Param called `name`."""
        return self._params[name]

    def dump(self) -> dict[str, Any]:
        """The form that a spec holds."""
        return {name: param.dump() for name, param in sorted(self._params.items())}

    def __getitem__(self, name: str) -> Any:
        return self._params[name].resolve()

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, Param):
            self._params[name] = value
        elif name in self._params:
            before = self._params[name]
            self._params[name] = Param(value, before.description, **before.schema)
        else:
            self._params[name] = Param(value)

    def __delitem__(self, name: str) -> None:
        del self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __contains__(self, name: object) -> bool:
        return name in self._params

    def __repr__(self) -> str:
        return f"ParamsDict({self._params!r})"


class DagParam(Resolvable):
    """A param of the DAG as an argument: the value that the run was given. `@dag` functions get their arguments so."""

    def __init__(self, dag: "DAG", name: str, default: Any = MISSING) -> None:
        if default is not MISSING:
            dag.params[name] = default
        self.name = name

    def resolve(self, context: Mapping[str, Any]) -> Any:
        """The run's value; raises ParamValidationError if it has none."""
        try:
            return context["params"][self.name]
        except KeyError:
            raise ParamValidationError(f"the run has no param {self.name!r}") from None

    def __str__(self) -> str:
        return f"{{{{ params[{self.name!r}] }}}}"


def run_params(params: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a run: the defaults of a spec's `params`, overridden by `conf`.

    Raises InvalidRequest, naming the param, if one has no value or breaks its schema.
    """
    values = {**param_defaults(params), **conf}
    for name, param in params.items():
        if name not in values:
            raise InvalidRequest(f"the param {name!r} has no default, so a value must be given in the conf")
        problem = broken(param.get("schema", {}), values[name], f"the param {name!r}")
        if problem:
            raise InvalidRequest(problem)
    return values
