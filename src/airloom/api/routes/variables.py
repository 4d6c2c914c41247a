"""Variables. A secret one, which is known by its key, can be set here and never be read."""

import msgspec
from fastapi import APIRouter, Response

from airloom.api.access import By
from airloom.api.schemas.admin import Variable, VariableText, VariableValue
from airloom.operations import variables
from airloom.operations.ops import Ops

router = APIRouter(tags=["variables"])


@router.get("/variables", response_model=list[Variable])
def list_variables(caller: By) -> list[Variable]:
    """Every variable by key, without its value."""
    return [Variable.model_validate(info) for info in variables.list_variables(caller.ops)]


@router.get("/variables/{key:path}", response_model=VariableValue)
def get_variable(key: str, caller: By) -> VariableValue:
    """A variable; its value is null where its key says that it is a secret."""
    return _value(caller.ops, key)


@router.put("/variables/{key:path}", response_model=VariableValue, responses={201: {"model": VariableValue}})
def set_variable(key: str, body: VariableText, caller: By, response: Response) -> VariableValue:
    """Make or change a variable; a description that is left out stays."""
    new = all(info.key != key for info in variables.list_variables(caller.ops))
    variables.set_variable(caller.ops, key, body.value, body.description)
    response.status_code = 201 if new else 200
    return _value(caller.ops, key)


@router.delete("/variables/{key:path}", status_code=204)
def delete_variable(key: str, caller: By) -> None:
    """Delete a variable."""
    variables.delete_variable(caller.ops, key)


def _value(ops: Ops, key: str) -> VariableValue:
    info, value = variables.read_variable(ops, key)
    return VariableValue.model_validate({**msgspec.structs.asdict(info), "value": value, "secret": value is None})
