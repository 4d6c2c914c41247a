"""Dynamic task mapping: `.partial(...).expand(...)` makes a task with as many instances as its inputs say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airloom.model.spec import LiteralInput, MapInput, MapSpec, XComInput
from airloom.sdk import arguments, scope
from airloom.sdk.exceptions import AirflowException
from airloom.sdk.naming import did_you_mean
from airloom.sdk.operator import BaseOperator, OperatorMeta, accepted_arguments, with_defaults
from airloom.sdk.resolving import LiteralValue, Resolvable, references
from airloom.sdk.source import author_site, definition_error, one_statement
from airloom.sdk.xcom import XComArg

#: arguments of BaseOperator that a mapped task's instances have in common: the scheduler knows them by task
_COMMON = arguments.constructor_arguments(BaseOperator)


class ExpandInput:
    """What a task is mapped over: one input per argument, or (`kwargs`) one input of whole dicts of arguments."""

    def __init__(self, who: str, inputs: Mapping[str, Any], kwargs: bool = False) -> None:
        if not inputs:
            raise definition_error(f"{who}: expand() needs at least one argument to map over")
        for name, value in inputs.items():
            if isinstance(value, XComArg | list | tuple) or (isinstance(value, dict) and not kwargs):
                continue
            allowed = "a list of dicts" if kwargs else "a list, a dict"
            raise definition_error(
                f"{who}: {name!r} cannot be mapped over {type(value).__name__}; it must be {allowed} or a task's output"
            )
        self.inputs = dict(inputs)
        self.kwargs = kwargs

    def spec(self) -> MapSpec:
        """The inputs as the scheduler knows them: by their lengths, or by the task that they come from."""
        entries: list[MapInput] = []
        for name, value in self.inputs.items():
            if isinstance(value, XComArg):
                entries.append(XComInput(arg=name, task_id=value.operator.task_id))
            else:
                entries.append(LiteralInput(arg=name, length=len(value)))
        return MapSpec(inputs=tuple(entries), kwargs=self.kwargs)

    def references(self) -> Iterator[BaseOperator]:
        """The tasks whose outputs the inputs need."""
        return references(self.inputs)

    def values(self, map_index: int, lengths: Sequence[int], context: Mapping[str, Any]) -> dict[str, Any]:
        """The mapped arguments at a map index; the last input varies fastest. Raises AirflowException."""
        if len(lengths) != len(self.inputs):
            raise AirflowException(
                "what the task was mapped over has changed since, and cannot be mapped over any more"
            )
        picked: dict[str, Any] = {}
        rest = map_index
        for (name, value), length in reversed(list(zip(self.inputs.items(), lengths, strict=True))):
            rest, place = divmod(rest, length)
            picked[name] = _item(name, value, place, context)
        in_order = {name: picked[name] for name in self.inputs}
        if not self.kwargs:
            return in_order
        (entry,) = in_order.values()
        found = entry.value if isinstance(entry, LiteralValue) else entry
        if not isinstance(found, Mapping):
            raise AirflowException(f"expand_kwargs() needs dicts, but item {map_index} is {type(found).__name__}")
        return {key: LiteralValue(item) if isinstance(entry, LiteralValue) else item for key, item in found.items()}


def _item(name: str, value: Any, place: int, context: Mapping[str, Any]) -> Any:
    source = value.resolve(context) if isinstance(value, Resolvable) else value
    try:
        item = list(source.items())[place] if isinstance(source, Mapping) else source[place]
    except (IndexError, TypeError, KeyError):
        raise AirflowException(
            f"{name!r} is mapped over {value!r}, which has no item {place}: it is {type(source).__name__}"
        ) from None
    # What a task returned is data: no template in it is rendered.
    return LiteralValue(item) if isinstance(value, Resolvable) else item


class MappedOperator(BaseOperator):
    """A task with many instances. `concrete` is the operator of one of them.

    nest: the argument (`op_kwargs`) that the mapped arguments go into, for decorated tasks.
    """

    is_mapped = True

    def __init__(
        self,
        *,
        operator_class: OperatorMeta,
        arguments: Mapping[str, Any],
        expand_input: ExpandInput,
        nest: str | None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.operator_class = operator_class
        self.expand_input = expand_input
        self.ui_color = operator_class.ui_color  # type: ignore[attr-defined]
        self.ui_fgcolor = operator_class.ui_fgcolor  # type: ignore[attr-defined]
        self._arguments = dict(arguments)
        self._nest = nest
        self._running: BaseOperator | None = None

    @property
    def task_type(self) -> str:
        """The name of the operator's class."""
        return self.operator_class.__name__

    @property
    def operator_name(self) -> str:
        """What kind of task to show it as."""
        return getattr(self.operator_class, "custom_operator_name", None) or self.task_type

    @property
    def template_ext(self) -> Sequence[str]:  # type: ignore[override]
        """The operator's."""
        return tuple(self.operator_class.template_ext)  # type: ignore[attr-defined]

    def templated(self) -> Iterator[tuple[str, Any]]:
        """The arguments, common and mapped, that become fields which may hold templates."""
        fields = self.operator_class.template_fields  # type: ignore[attr-defined]
        mapped = {self._nest: self.expand_input.inputs} if self._nest else self.expand_input.inputs
        for name in fields:
            value = [source[name] for source in (self._arguments, mapped) if name in source]
            if value:
                yield name, value
        if self.expand_input.kwargs:
            yield "kwargs", self.expand_input.inputs

    def link_references(self) -> set[str]:
        """Make this run after every task whose output an argument holds; returns their ids."""
        found = super().link_references()
        for task in self.expand_input.references():
            found.add(task.task_id)
            self.set_upstream(task)
        return found

    def check_references(self, given: Mapping[str, Any]) -> None:
        """As BaseOperator, for the arguments that all instances have in common."""
        super().check_references(self._arguments)

    def concrete(self, map_index: int, lengths: Sequence[int], context: Mapping[str, Any]) -> BaseOperator:
        """The operator at one map index, ready to be rendered and executed. Raises AirflowException."""
        mapped = self.expand_input.values(map_index, lengths, context)
        if self._nest:
            given = {**self._arguments, self._nest: {**self._arguments.get(self._nest, {}), **mapped}}
        else:
            # The constructor may look at its arguments, so it gets values; fields are kept from being rendered below.
            plain = {key: value.value if isinstance(value, LiteralValue) else value for key, value in mapped.items()}
            given = {**self._arguments, **plain}
        operator: BaseOperator = self.operator_class.detached({**given, "dag": self.dag, "task_group": self.task_group})
        if not self._nest:
            for name, value in mapped.items():
                if name in operator.template_fields and isinstance(value, LiteralValue):
                    setattr(operator, name, LiteralValue(getattr(operator, name)))
        self._running = operator
        return operator

    def on_kill(self) -> None:
        """Hand on to the instance that runs in this process."""
        if self._running is not None:
            self._running.on_kill()


class OperatorPartial:
    """`SomeOperator.partial(...)`: waits for `expand`."""

    def __init__(self, operator_class: OperatorMeta, kwargs: Mapping[str, Any], nest: str | None = None) -> None:
        self._class = operator_class
        self._nest = nest
        self._who = f"{operator_class.__name__}.partial({kwargs.get('task_id', '')!r})"
        if "task_id" not in kwargs:
            raise definition_error(f"{operator_class.__name__}.partial() needs a task_id")
        self._dag, self._group = scope.place(kwargs.get("dag"), kwargs.get("task_group"))
        self._given = {**with_defaults(operator_class, kwargs), "dag": self._dag, "task_group": self._group}
        self._check_names(kwargs)
        if self._dag is not None:
            self._dag.unexpanded[id(self)] = (str(kwargs["task_id"]), author_site())

    def expand(self, **mapped: Any) -> MappedOperator:
        """One instance for each combination of the arguments' items; the last argument varies fastest."""
        with one_statement():
            self._check_names(mapped)
            return self._make(ExpandInput(self._who, mapped), mapped)

    def expand_kwargs(self, kwargs: Any, strict: bool = True) -> MappedOperator:
        """One instance for each dict of arguments. `strict` is taken for Airflow's sake: unknown names always fail."""
        with one_statement():
            entries = kwargs if isinstance(kwargs, list | tuple) else ()
            for entry in entries:
                if isinstance(entry, Mapping):
                    self._check_names(entry)
            return self._make(ExpandInput(self._who, {"kwargs": kwargs}, kwargs=True), {})

    def _make(self, expand_input: ExpandInput, mapped: Mapping[str, Any]) -> MappedOperator:
        for name, value in expand_input.inputs.items():
            if isinstance(value, XComArg) and value.key != "return_value":
                raise definition_error(
                    f"{self._who}: {name!r} is mapped over the key {value.key!r} of {value.operator.task_id}, which is "
                    "not supported yet: have a task return the list by itself, and map over that"
                )
        already = self._given.get(self._nest, {}) if self._nest else self._given
        for name in mapped:
            if self._nest is None and name in _COMMON:
                raise definition_error(f"{self._who}: {name!r} is the same for all instances: give it to partial()")
            if name in already:
                raise definition_error(f"{self._who}: {name!r} is given to partial() and to expand()")
        if self._dag is not None:
            self._dag.unexpanded.pop(id(self), None)
        common = {name: value for name, value in self._given.items() if name in _COMMON or name in _OTHERS}
        task: MappedOperator = MappedOperator(
            operator_class=self._class, arguments=self._given, expand_input=expand_input, nest=self._nest, **common
        )
        return task

    def _check_names(self, names: Mapping[str, Any]) -> None:
        if self._nest is not None:
            return
        accepted = accepted_arguments(self._class)
        for name in names:
            if name not in accepted:
                raise definition_error(f"{self._class.__name__} has no argument {name!r}{did_you_mean(name, accepted)}")


_OTHERS = arguments.OPERATOR_UNSUPPORTED | arguments.OPERATOR_DESCRIPTIVE
