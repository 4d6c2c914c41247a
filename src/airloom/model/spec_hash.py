"""What names a version of a DAG. Apart from the spec, so that a DAG file's import does not load hashlib."""

import hashlib

from airloom.model.spec import DagSpec, encode


def spec_hash(spec: DagSpec) -> str:
    """The hex SHA-256 of the canonical bytes: a new dag version is made when it changes."""
    return hashlib.sha256(encode(spec)).hexdigest()
