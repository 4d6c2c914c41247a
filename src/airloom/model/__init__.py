"""The vocabulary of Airloom as frozen data: states, specs, runs, work, reports, plans, reasons, errors.

Standard library and msgspec only. Nothing here does IO, reads a clock or a setting.
Times are float seconds since 1970-01-01 UTC; durations are float seconds.
"""
