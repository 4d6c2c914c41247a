"""Airloom, a workflow orchestrator. Everything that a DAG file needs is imported from here, each name when it is used:
`from airloom import DAG, dag, task`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airloom.model.spec import TriggerRule as TriggerRule
    from airloom.model.spec import WeightRule as WeightRule
    from airloom.model.states import RunState as DagRunState  # noqa: F401
    from airloom.model.states import TIState as TaskInstanceState  # noqa: F401
    from airloom.sdk import macros as macros
    from airloom.sdk.connection import BaseHook as BaseHook
    from airloom.sdk.connection import Connection as Connection
    from airloom.sdk.context import Context as Context
    from airloom.sdk.context import get_current_context as get_current_context
    from airloom.sdk.dag import DAG as DAG
    from airloom.sdk.decorators import dag as dag
    from airloom.sdk.decorators import task as task
    from airloom.sdk.decorators import task_group as task_group
    from airloom.sdk.edges import EdgeModifier as EdgeModifier
    from airloom.sdk.edges import Label as Label
    from airloom.sdk.edges import chain as chain
    from airloom.sdk.edges import chain_linear as chain_linear
    from airloom.sdk.edges import cross_downstream as cross_downstream
    from airloom.sdk.exceptions import AirflowBadRequest as AirflowBadRequest
    from airloom.sdk.exceptions import AirflowConfigException as AirflowConfigException
    from airloom.sdk.exceptions import AirflowException as AirflowException
    from airloom.sdk.exceptions import AirflowFailException as AirflowFailException
    from airloom.sdk.exceptions import AirflowNotFoundException as AirflowNotFoundException
    from airloom.sdk.exceptions import AirflowSensorTimeout as AirflowSensorTimeout
    from airloom.sdk.exceptions import AirflowSkipException as AirflowSkipException
    from airloom.sdk.exceptions import AirflowTaskTimeout as AirflowTaskTimeout
    from airloom.sdk.exceptions import ParamValidationError as ParamValidationError
    from airloom.sdk.exceptions import XComNotFound as XComNotFound
    from airloom.sdk.operator import BaseOperator as BaseOperator
    from airloom.sdk.operators.bash import BashOperator as BashOperator
    from airloom.sdk.operators.branching import BaseBranchOperator as BaseBranchOperator
    from airloom.sdk.operators.branching import BranchMixIn as BranchMixIn
    from airloom.sdk.operators.empty import EmptyOperator as EmptyOperator
    from airloom.sdk.operators.python import BranchPythonOperator as BranchPythonOperator
    from airloom.sdk.operators.python import PythonOperator as PythonOperator
    from airloom.sdk.operators.python import ShortCircuitOperator as ShortCircuitOperator
    from airloom.sdk.params import Param as Param
    from airloom.sdk.params import ParamsDict as ParamsDict
    from airloom.sdk.resolving import literal as literal
    from airloom.sdk.task_instance import DagRun as DagRun
    from airloom.sdk.task_instance import TaskInstance as TaskInstance
    from airloom.sdk.taskgroup import TaskGroup as TaskGroup
    from airloom.sdk.timetables import CronDataIntervalTimetable as CronDataIntervalTimetable
    from airloom.sdk.timetables import CronTriggerTimetable as CronTriggerTimetable
    from airloom.sdk.timetables import DeltaDataIntervalTimetable as DeltaDataIntervalTimetable
    from airloom.sdk.timetables import DeltaTriggerTimetable as DeltaTriggerTimetable
    from airloom.sdk.variable import Variable as Variable
    from airloom.sdk.xcom import XComArg as XComArg

__version__ = "0.1.0"

#: module -> the names that come from it; "name=other" is called other there, "" is the module itself
_EXPORTS = {
    "airloom.model.spec": "TriggerRule WeightRule",
    "airloom.model.states": "DagRunState=RunState TaskInstanceState=TIState",
    "airloom.sdk.connection": "BaseHook Connection",
    "airloom.sdk.context": "Context get_current_context",
    "airloom.sdk.dag": "DAG",
    "airloom.sdk.decorators": "dag task task_group",
    "airloom.sdk.edges": "EdgeModifier Label chain chain_linear cross_downstream",
    "airloom.sdk.exceptions": (
        "AirflowBadRequest AirflowConfigException AirflowException AirflowFailException AirflowNotFoundException "
        "AirflowSensorTimeout AirflowSkipException AirflowTaskTimeout ParamValidationError XComNotFound"
    ),
    "airloom.sdk.macros": "macros=",
    "airloom.sdk.operator": "BaseOperator",
    "airloom.sdk.operators.bash": "BashOperator",
    "airloom.sdk.operators.branching": "BaseBranchOperator BranchMixIn",
    "airloom.sdk.operators.empty": "EmptyOperator",
    "airloom.sdk.operators.python": "BranchPythonOperator PythonOperator ShortCircuitOperator",
    "airloom.sdk.params": "Param ParamsDict",
    "airloom.sdk.resolving": "literal",
    "airloom.sdk.task_instance": "DagRun TaskInstance",
    "airloom.sdk.taskgroup": "TaskGroup",
    "airloom.sdk.timetables": (
        "CronDataIntervalTimetable CronTriggerTimetable DeltaDataIntervalTimetable DeltaTriggerTimetable"
    ),
    "airloom.sdk.variable": "Variable",
    "airloom.sdk.xcom": "XComArg",
}
_HOMES = {
    name.partition("=")[0]: (module, name.partition("=")[2] if "=" in name else name)
    for module, names in _EXPORTS.items()
    for name in names.split()
}

__all__ = sorted(["__version__", *_HOMES])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'airloom' has no attribute {name!r}")
    module, inside = _HOMES[name]
    home = importlib.import_module(module)
    value = globals()[name] = getattr(home, inside) if inside else home
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
