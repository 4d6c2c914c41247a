"""operations/workers.py on a server elsewhere."""

from typing import Any

from airloom.cli.remote.server import Server, path_of, seconds
from airloom.operations.workers import Worker, WorkerStatus


def list_workers(ops: Server) -> list[Worker]:
    """As operations.workers.list_workers."""
    return [_worker(data) for data in ops.get("/workers")]


def drain_worker(ops: Server, name: str) -> None:
    """As operations.workers.drain_worker."""
    ops.send("POST", path_of("workers", name, "drain"))


def resume_worker(ops: Server, name: str) -> None:
    """As operations.workers.resume_worker."""
    ops.send("POST", path_of("workers", name, "resume"))


def stop_worker(ops: Server, name: str) -> None:
    """As operations.workers.stop_worker."""
    ops.send("POST", path_of("workers", name, "stop"))


def _worker(data: dict[str, Any]) -> Worker:
    return Worker(
        id=data["id"],
        name=data["name"],
        host=data["host"],
        pid=data["pid"],
        version=data["version"],
        executor=data["executor"],
        queues=tuple(data["queues"]),
        slots=data["slots"],
        running=data["running"],
        memory=data["memory"],
        memory_free=data["memory_free"],
        clock=data["clock"],
        started_at=seconds(data["started_at"]) or 0.0,
        seen_at=seconds(data["seen_at"]) or 0.0,
        status=WorkerStatus(data["status"]),
        remote=data["remote"],
        ordered_by=data["ordered_by"],
        ordered_at=seconds(data["ordered_at"]),
        trouble=data.get("trouble", ""),
    )
