"""Variable: settings that are kept in the database and that tasks read by name."""

import json
from typing import Any

from airloom.model.wire import GetVariable, SetVariable
from airloom.sdk.client import current_client
from airloom.sdk.exceptions import AirflowException, AirflowNotFoundException
from airloom.sdk.secrecy import is_secret, mask
from airloom.sdk.xcom import MISSING


class Variable:
    """A named text in the database. Its value is hidden in logs if its name promises a secret."""

    @classmethod
    def get(cls, key: str, default: Any = MISSING, deserialize_json: bool = False) -> Any:
        """The variable's text, or with `deserialize_json` what the JSON in it says.

        Raises AirflowNotFoundException if there is none and no default, AirflowException for text that is no JSON.
        """
        text = current_client().ask(GetVariable(key=key))
        if text is None:
            if default is MISSING:
                raise AirflowNotFoundException(
                    f"there is no variable {key!r}: set it with `airloom variables set {key} VALUE` or, for "
                    f"`airloom run`, as the environment variable AIRLOOM_VAR_{key.upper()}, or give a default"
                )
            return default
        if is_secret(key):
            mask(text)
        if not deserialize_json:
            return text
        try:
            value = json.loads(text)
        except ValueError as error:
            raise AirflowException(f"the variable {key!r} does not hold JSON: {error}") from None
        if isinstance(value, dict):
            for name, item in value.items():
                if is_secret(name):
                    mask(item)
        return value

    @classmethod
    def set(cls, key: str, value: Any, description: str | None = None, serialize_json: bool = False) -> None:
        """Set the variable to `str(value)`, or to its JSON."""
        text = json.dumps(value, indent=2) if serialize_json else str(value)
        current_client().ask(SetVariable(key=key, value=text, description=description))

    @classmethod
    def delete(cls, key: str) -> None:
        """Delete the variable; it is no error if there is none."""
        current_client().ask(SetVariable(key=key, value=None))


class VariableAccessor:
    """`var.value.name` and `var.json.name` in templates."""

    def __init__(self, deserialize_json: bool) -> None:
        self._json = deserialize_json

    def __getattr__(self, key: str) -> Any:
        if key.startswith("__"):
            raise AttributeError(key)
        return Variable.get(key, deserialize_json=self._json)

    def get(self, key: str, default: Any = MISSING) -> Any:
        """The variable `key`, or `default`."""
        return Variable.get(key, default, deserialize_json=self._json)


class VariableAccessors:
    """`var` in templates."""

    value = VariableAccessor(deserialize_json=False)
    json = VariableAccessor(deserialize_json=True)
