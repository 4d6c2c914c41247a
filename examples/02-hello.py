"""The first DAG: three tasks, one after the other, and a value that travels between them.

airloom run examples/02-hello.py
"""

from datetime import datetime

from airloom import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1))
def hello():
    @task
    def greet(name: str) -> str:
        return f"Hello, {name}!"

    @task
    def shout(greeting: str) -> str:
        return greeting.upper()

    @task.bash
    def say(words: str) -> str:
        return f"echo '{words}'"

    say(shout(greet("world")))


hello()
