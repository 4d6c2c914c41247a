"""Every decision of the scheduler, as pure functions of state, event and `now`.

No database, clock, thread, socket or setting: events and `now` come in, a Plan goes out. `turn.handle` is the door.
"""
