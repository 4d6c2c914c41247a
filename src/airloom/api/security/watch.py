"""Sees from time to time whether a stream that goes on may still go to the one who asked for it."""

import time
from typing import Annotated

import msgspec
from fastapi import Depends, Request

from airloom.api.access import By, Caller
from airloom.api.problems import Refused
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api, Served
from airloom.model.errors import StoreError

#: seconds between two looks whether a client's login is still good
_LOOK = 15.0


class Watch:
    """Of one stream."""

    def __init__(self, request: Request, api: Api, caller: Caller) -> None:
        self._request = request
        self._api = api
        self._caller = caller
        self._look_at = time.monotonic() + _LOOK

    async def allows(self) -> bool:
        """False: the login or token has ended, or what it is good for has changed. The client comes again if it can."""
        if time.monotonic() < self._look_at:
            return True
        self._look_at = time.monotonic() + _LOOK
        try:
            identity = await authenticate(self._request, self._api)
        except Refused:
            return False
        except StoreError:
            # Nothing can be read that it could be told.
            return True
        if identity is None:
            return False
        # A session that is used lasts longer each time: that is no change of what it is good for.
        before = self._caller.identity
        return msgspec.structs.replace(identity, expires_at=before.expires_at) == before


async def _watch(request: Request, api: Served, caller: By) -> Watch:
    return Watch(request, api, caller)


#: the parameter of a route that streams
Watching = Annotated[Watch, Depends(_watch)]
