"""The audit log, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from airloom.api.access import By
from airloom.api.paging import Cursor, Limit, RowNumber, decode_cursor, encode_cursor
from airloom.api.schemas.base import Page
from airloom.api.schemas.people import AuditEntry
from airloom.operations import auditing
from airloom.store.audit import AuditFilter

router = APIRouter(tags=["audit"])

Text = Annotated[str | None, Query(max_length=250)]


@router.get("/audit")
def list_audit(
    caller: By,
    by: Text = None,
    dag_id: Text = None,
    action: Text = None,
    since: Annotated[AwareDatetime | None, Query(description="No older ones.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """What was changed, by whom, the newest first."""
    wanted = AuditFilter(by=by, dag_id=dag_id, action=action, since=None if since is None else since.timestamp())
    rows = auditing.list_audit(caller.ops, wanted, limit + 1, decode_cursor(cursor, RowNumber))
    following = encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return Page(items=[AuditEntry.model_validate(row) for row in rows[:limit]], next=following)
