"""Workers and executors."""

from fastapi import APIRouter

from airloom.api.access import By
from airloom.api.schemas.admin import ExecutorState, Worker
from airloom.operations import workers

router = APIRouter(tags=["workers"])


@router.get("/workers")
def list_workers(caller: By) -> list[Worker]:
    """Every runner that was heard of in the last day."""
    return [Worker.model_validate(worker) for worker in workers.list_workers(caller.ops)]


@router.get("/executors")
def list_executors(caller: By) -> list[ExecutorState]:
    """The executors of the scheduler that leads; none while none does."""
    return [ExecutorState.model_validate(state) for state in workers.list_executors(caller.ops)]
