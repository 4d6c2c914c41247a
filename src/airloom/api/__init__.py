"""HTTP: the public REST API, live events, the task API that remote runners use, and the web UI's files."""
