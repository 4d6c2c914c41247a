"""The public REST API, one file per resource. Each defines `router`; app.py puts them together."""
