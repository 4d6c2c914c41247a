"""Queues."""

from fastapi import APIRouter

from airloom.api.access import By
from airloom.api.schemas.admin import Queue
from airloom.operations import queues

router = APIRouter(tags=["queues"])


@router.get("/queues", response_model=list[Queue])
def list_queues(caller: By) -> list[Queue]:
    """Every queue that has something to do or a worker of its own, and `default`."""
    return [Queue.model_validate(queue) for queue in queues.list_queues(caller.ops)]
