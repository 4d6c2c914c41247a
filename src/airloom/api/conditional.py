"""Answers that a client which has them already gets as 304: what the UI asks for again and again."""

import hashlib
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

#: for the OpenAPI document
NOT_CHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already (If-None-Match)"}}


def conditional(request: Request, body: BaseModel | bytes) -> Response:
    """`body` as JSON with its ETag, or 304 if the client has just this."""
    data = body if isinstance(body, bytes) else body.model_dump_json(by_alias=True).encode()
    tag = f'W/"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    wanted = {entry.strip() for entry in request.headers.get("if-none-match", "").split(",")}
    if tag in wanted:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)
