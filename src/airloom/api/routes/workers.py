"""Workers and executors, and what is wanted of workers."""

from fastapi import APIRouter

from airloom.api.access import By
from airloom.api.schemas.admin import ExecutorState, Worker
from airloom.operations import workers

router = APIRouter(tags=["workers"])


@router.get("/workers")
def list_workers(caller: By) -> list[Worker]:
    """Every worker that was heard of in the last day, and the runners of local executors."""
    return [Worker.model_validate(worker) for worker in workers.list_workers(caller.ops)]


@router.post("/workers/{name:path}/drain", status_code=204)
def drain_worker(name: str, caller: By) -> None:
    """Have a worker take nothing new until it is resumed, also after a restart; what it has runs to its end."""
    workers.drain_worker(caller.ops, name)


@router.post("/workers/{name:path}/resume", status_code=204)
def resume_worker(name: str, caller: By) -> None:
    """Have a worker that is drained take work again."""
    workers.resume_worker(caller.ops, name)


@router.post("/workers/{name:path}/stop", status_code=204)
def stop_worker(name: str, caller: By) -> None:
    """Have the worker that lives now end when what it has is over, or its grace."""
    workers.stop_worker(caller.ops, name)


@router.get("/executors")
def list_executors(caller: By) -> list[ExecutorState]:
    """The executors of the scheduler that leads; none while none does."""
    return [ExecutorState.model_validate(state) for state in workers.list_executors(caller.ops)]
