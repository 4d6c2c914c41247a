"""The verbs as the commands call them: those of operations/ on the database, or of cli/remote/ on a server elsewhere.

A command names a verb as ever, `dags.get_dag(here.ops, dag_id)`; what `here.ops` is decides which of the two is called.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airloom.operations.ops import Ops

if TYPE_CHECKING:
    # For the type checker the two are one: a test holds their signatures against each other.
    from airloom.operations import connections, dags, explain, pools, runs, tasks, variables, workers
else:

    class _Verbs:
        def __init__(self, name: str) -> None:
            self.local = f"airloom.operations.{name}"
            self.remote = f"airloom.cli.remote.{name}"

        def __getattr__(self, verb: str) -> Callable[..., Any]:
            def call(ops: Any, *args: Any, **options: Any) -> Any:
                module = importlib.import_module(self.local if isinstance(ops, Ops) else self.remote)
                return getattr(module, verb)(ops, *args, **options)

            return call

    connections, dags, explain, pools, runs, tasks, variables, workers = (
        _Verbs(name) for name in ("connections", "dags", "explain", "pools", "runs", "tasks", "variables", "workers")
    )

__all__ = ["connections", "dags", "explain", "pools", "runs", "tasks", "variables", "workers"]
