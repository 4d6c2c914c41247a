"""Queues."""

from typing import Annotated

from fastapi import APIRouter, Query

from airloom.api.access import By
from airloom.api.schemas.admin import Queue
from airloom.operations import queues

router = APIRouter(tags=["queues"])

_EXECUTOR = Query(max_length=250, description="The executor whose queue it is.")


@router.get("/queues", response_model=list[Queue])
def list_queues(caller: By) -> list[Queue]:
    """Every queue that has something to do or a worker of its own, and `default` of each executor."""
    return [Queue.model_validate(queue) for queue in queues.list_queues(caller.ops)]


@router.get("/queues/{name:path}", response_model=Queue)
def get_queue(name: str, caller: By, executor: Annotated[str, _EXECUTOR] = "celery") -> Queue:
    """One queue, for programs that start and stop workers; one that nothing is known of is empty."""
    return Queue.model_validate(queues.get_queue(caller.ops, name, executor))
