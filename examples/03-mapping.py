"""Dynamic task mapping: how many tasks there are is known only when the run is under way.

airloom run examples/03-mapping.py
airloom run examples/03-mapping.py --conf '{"sentence": "one task for each word"}'
"""

from airloom import Param, dag, task


@dag(schedule=None, params={"sentence": Param("the quick brown fox", type="string", minLength=1)})
def mapping():
    @task
    def split(params: dict) -> list[str]:
        return params["sentence"].split()

    @task
    def measure(word: str) -> int:
        return len(word)

    @task
    def scale(length: int, factor: int) -> int:
        return length * factor

    @task
    def add_up(lengths: list[int]) -> int:
        return sum(lengths)

    # One `measure` for each word of whatever `split` returns; `add_up` gets all of their results.
    lengths = measure.expand(word=split())
    add_up(lengths)

    # Two lists give every pair: one `scale` for each word and each factor. partial() gives what all have in common.
    add_up.override(task_id="add_up_scaled")(scale.expand(length=lengths, factor=[10, 100]))
    add_up.override(task_id="add_up_doubled")(scale.override(task_id="double").partial(factor=2).expand(length=lengths))


mapping()
