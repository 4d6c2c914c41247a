"""The part of the Compose specification's JSON schema that deploy/compose uses, and nothing beside it: a key that is
not here is a slip, or is to be looked up in the specification and added.
"""

from typing import Any


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _named(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "patternProperties": {"^[a-zA-Z0-9._-]+$": schema}, "additionalProperties": False}


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema, "uniqueItems": True}


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
NUMBER = {"type": "string", "pattern": "^[0-9]+$"}
DURATION = {"type": "string", "pattern": "^([0-9]+(h|m|s|ms))+$"}
SIZE = {"type": "string", "pattern": "^[0-9]+(b|k|m|g|kb|mb|gb)$"}
PORTS = {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"}
FLAG = {"type": "boolean"}

HEALTHCHECK = _object(
    ("test",),
    test={"type": "array", "items": TEXT, "minItems": 2, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}]},
    interval=DURATION,
    timeout=DURATION,
    retries={"type": "integer", "minimum": 1},
    start_period=DURATION,
    start_interval=DURATION,
)

MOUNT = {
    "oneOf": [
        _object(("type", "target"), type={"const": "volume"}, source=TEXT, target=TEXT),
        _object(("type", "source", "target"), type={"const": "bind"}, source=TEXT, target=TEXT, read_only=FLAG),
    ]
}

SERVICE = _object(
    ("image", "command", "restart", "networks"),
    build=_object(("context", "dockerfile"), context=TEXT, dockerfile=TEXT),
    cap_drop=_list(TEXT),
    command=TEXTS,
    depends_on=_named(
        _object(("condition",), condition={"enum": ["service_healthy", "service_completed_successfully"]})
    ),
    deploy=_object(
        replicas={"oneOf": [{"type": "integer"}, NUMBER]},
        resources=_object(limits=_object(memory=SIZE)),
    ),
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    healthcheck=HEALTHCHECK,
    hostname=TEXT,
    image={"type": "string", "pattern": "^[a-z0-9./_-]+:[a-zA-Z0-9._-]+$"},
    logging=_object(("driver",), driver=TEXT, options={"type": "object", "additionalProperties": {"type": "string"}}),
    networks=_list(TEXT),
    ports=_list(_object(("host_ip", "published", "target"), host_ip=TEXT, published=PORTS, target={"type": "integer"})),
    read_only=FLAG,
    restart={"enum": ["unless-stopped", "on-failure"]},
    secrets=_list({"oneOf": [TEXT, _object(("source", "target"), source=TEXT, target=TEXT)]}),
    security_opt=_list(TEXT),
    shm_size=SIZE,
    stop_grace_period=DURATION,
    tmpfs=_list(TEXT),
    user=TEXT,
    volumes=_list(MOUNT),
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "services": _named(SERVICE),
        "networks": _named(_object(internal=FLAG)),
        "volumes": _named(_object()),
        "secrets": _named(_object(("file",), file=TEXT)),
    },
    "required": ["services", "networks", "secrets"],
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
}
