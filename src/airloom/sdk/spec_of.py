"""From a DAG object to its spec: plain data, the same for the same DAG however its file puts it."""

from typing import Any

import msgspec

from airloom.model.spec import (
    DagSpec,
    GroupSpec,
    Never,
    TaskSpec,
    edge_key,
)
from airloom.sdk.dag import DAG
from airloom.sdk.json_schema import broken
from airloom.sdk.lazy import load
from airloom.sdk.mapping import MappedOperator
from airloom.sdk.naming import did_you_mean
from airloom.sdk.operator import BaseOperator, accepted_arguments
from airloom.sdk.operators.empty import EmptyOperator
from airloom.sdk.schedules import schedule_of, zone_name
from airloom.sdk.source import definition_error
from airloom.sdk.taskgroup import TaskGroup


def spec_of(dag: DAG) -> DagSpec:
    """The spec of a DAG. Raises DagDefinitionError for what can only be told of the DAG as a whole."""
    who = f"DAG {dag.dag_id!r}"
    for task in dag.tasks:
        task.link_references()
    _check_whole(dag, who)
    order = dag.graph.in_order()
    upstream = dag.graph.upstream()
    moment = dag.start_date or dag.end_date
    timezone = zone_name(moment.tzinfo if moment is not None else None, who, dag.site)
    schedule = schedule_of(dag.schedule, timezone, who, dag.site)
    params = dag.params.dump()
    _check_json(params, f"{who}: the params", dag)
    if not isinstance(schedule, Never):
        _check_defaults(dag, who)
    return DagSpec(
        dag_id=dag.dag_id,
        tasks=tuple(_task_spec(dag.get_task(task_id), upstream[task_id]) for task_id in order),
        groups=tuple(_group_spec(group) for _, group in sorted(dag.task_group_dict.items())),
        edge_labels={edge_key(up, down): label for (up, down), label in sorted(dag.graph.labels().items())},
        schedule=schedule,
        start_date=dag.start_date.timestamp() if dag.start_date else None,
        end_date=dag.end_date.timestamp() if dag.end_date else None,
        timezone=timezone,
        catchup=dag.catchup,
        max_active_tasks=dag.max_active_tasks,
        max_active_runs=dag.max_active_runs,
        params=params,
        description=dag.description,
        display_name=dag.dag_display_name if dag.dag_display_name != dag.dag_id else None,
        doc=dag.doc_md,
        tags=tuple(sorted(dag.tags)),
        owner=", ".join(sorted({task.owner for task in dag.tasks})),
        is_paused_upon_creation=dag.is_paused_upon_creation,
    )


def _task_spec(task: BaseOperator, upstream: set[str]) -> TaskSpec:
    cls = task.operator_class if isinstance(task, MappedOperator) else type(task)
    executor_config = _executor_config(task)
    return TaskSpec(
        task_id=task.task_id,
        operator=task.operator_name,
        upstream=tuple(sorted(upstream)),
        trigger_rule=task.trigger_rule,
        empty=_does_nothing(task),
        map=task.expand_input.spec() if isinstance(task, MappedOperator) else None,
        retries=task.retries,
        retry_delay=task.retry_delay.total_seconds(),
        retry_exponential_backoff=task.retry_exponential_backoff,
        max_retry_delay=task.max_retry_delay.total_seconds() if task.max_retry_delay else None,
        execution_timeout=task.execution_timeout.total_seconds() if task.execution_timeout else None,
        pool=task.pool,
        pool_slots=task.pool_slots,
        priority_weight=task.priority_weight,
        weight_rule=task.weight_rule,
        queue=task.queue,
        executor=task.executor,
        executor_config=executor_config,
        isolation=task.isolation,
        memory_limit=task.memory_limit,
        max_active_tis_per_dag=task.max_active_tis_per_dag,
        max_active_tis_per_dagrun=task.max_active_tis_per_dagrun,
        group=task.task_group.group_id if task.task_group is not None else None,
        owner=task.owner,
        display_name=task.task_display_name,
        doc=task.doc_md or task.doc,
        ui_color=task.ui_color if task.ui_color != BaseOperator.ui_color else None,
        ui_fgcolor=task.ui_fgcolor if task.ui_fgcolor != BaseOperator.ui_fgcolor else None,
        template_fields=tuple(getattr(cls, "template_fields", ())),
    )


def _executor_config(task: BaseOperator) -> dict[str, Any]:
    if not task.executor_config:
        return {}
    who = f"task {task.task_id!r}"
    checked = load("airloom.sdk.pod_override").checked_config
    config: dict[str, Any] = checked(who, task.executor_config, task.site)
    _check_json(config, f"{who}: executor_config", task.dag, task)
    return config


def _group_spec(group: TaskGroup) -> GroupSpec:
    return GroupSpec(
        group_id=group.group_id,
        parent=group.parent_group.group_id if group.parent_group is not None else None,
        display_name=group.group_display_name or None,
        tooltip=group.tooltip,
        ui_color=group.ui_color,
        ui_fgcolor=group.ui_fgcolor,
    )


def _does_nothing(task: BaseOperator) -> bool:
    return (
        isinstance(task, EmptyOperator)
        and type(task).execute is EmptyOperator.execute
        and type(task).pre_execute is BaseOperator.pre_execute
        and type(task).post_execute is BaseOperator.post_execute
        and not task.has_hooks
    )


def _check_whole(dag: DAG, who: str) -> None:
    for task_id, site in dag.unexpanded.values():
        raise definition_error(f"{who}: .partial(task_id={task_id!r}) was not followed by .expand(...)", site)
    for task in dag.tasks:
        for name, own, dags in (
            ("start_date", task.start_date, dag.start_date),
            ("end_date", task.end_date, dag.end_date),
        ):
            if own is not None and own != dags:
                raise definition_error(
                    f"task {task.task_id!r}: a {name} other than the DAG's is not supported yet; leave it out",
                    task.site,
                )
    _check_default_args(dag, who)


def _check_default_args(dag: DAG, who: str) -> None:
    """A misspelt default argument reaches no task: say so if it is like one that would."""
    taken: set[str] = set(accepted_arguments(BaseOperator))
    for task in dag.tasks:
        taken |= accepted_arguments(task.operator_class if isinstance(task, MappedOperator) else type(task))
    for owner, args in (
        (who, dag.default_args),
        *((f"group {g.group_id!r}", g.default_args) for g in dag.task_group_dict.values()),
    ):
        for name in args:
            if name not in taken and (hint := did_you_mean(name, taken, cutoff=0.8)):
                raise definition_error(f"{owner}: no task takes {name!r} of default_args{hint}", dag.site)


def _check_defaults(dag: DAG, who: str) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        if not param.has_value:
            raise definition_error(
                f"{who} has a schedule, so every param needs a default, but {name!r} has none", dag.site
            )
        problem = broken(param.schema, param.value, f"the default of the param {name!r}")
        if problem:
            raise definition_error(f"{who} has a schedule, but {problem}", dag.site)


def _check_json(value: object, what: str, dag: DAG | None, task: BaseOperator | None = None) -> None:
    site = task.site if task is not None else dag.site if dag is not None else None
    try:
        same = msgspec.json.decode(msgspec.json.encode(value)) == value
    except (TypeError, ValueError) as error:
        raise definition_error(f"{what} must be plain JSON values: {error}", site) from None
    if not same:
        raise definition_error(
            f"{what} must be plain JSON values: text, numbers, true, false, null, lists, dicts", site
        )
