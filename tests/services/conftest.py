"""A rig on each kind of database."""

import pytest

from airloom.store.database import Database
from tests.services.rig import Rig


@pytest.fixture
def rig(db: Database) -> Rig:
    return Rig(db)
