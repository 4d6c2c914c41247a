"""`macros` in templates: {{ macros.ds_add(ds, 7) }}."""

import json
import random
import time
import uuid
from datetime import datetime, timedelta

__all__ = ["datetime", "ds_add", "ds_format", "json", "random", "time", "timedelta", "uuid"]


def ds_add(ds: str, days: int) -> str:
    """The date `days` after (or, if negative, before) `ds`, both YYYY-MM-DD."""
    return (datetime.strptime(ds, "%Y-%m-%d") + timedelta(days=days)).strftime("%Y-%m-%d") if days else ds


def ds_format(ds: str, input_format: str, output_format: str) -> str:
    """A date text in another format: `ds_format("2026-01-31", "%Y-%m-%d", "%d/%m/%y")`."""
    return datetime.strptime(ds, input_format).strftime(output_format)
