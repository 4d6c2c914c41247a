"""The mutation hook: the user's function in a process of its own, whatever it does there."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airloom.executors.kubernetes import mutation
from airloom.executors.kubernetes.mutation import MutationHook
from airloom.executors.kubernetes.pods import PodFault, manifest_of
from airloom.model.errors import SettingsError
from tests.kubernetes.pod_bed import Object, settings_of, work_of

Make = Callable[[str], MutationHook]
POD: Object = {"metadata": {"name": "p", "labels": {}}}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Writes a module our_pods with this text; its function `mutate` is the hook."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    hooks = []

    def write(text: str) -> MutationHook:
        (tmp_path / "our_pods.py").write_text(text)
        hooks.append(MutationHook("our_pods:mutate"))
        return hooks[-1]

    yield write
    for hook in hooks:
        hook.close()


def test_the_pod_is_changed_in_place_or_returned(make: Make) -> None:
    in_place = make("def mutate(pod):\n pod['metadata']['labels']['cost'] = 'x'\n")
    assert in_place(POD)["metadata"]["labels"] == {"cost": "x"}
    assert POD["metadata"]["labels"] == {}
    in_place.close()
    assert make("def mutate(pod):\n return {'other': 1}\n")(POD) == {"other": 1}


def test_one_process_serves_many_pods_and_threads(make: Make) -> None:
    hook = make("import os\ndef mutate(pod):\n pod['pid'] = os.getpid()\n")
    seen: list[tuple[str, int]] = []

    def ask(name: str) -> None:
        changed = hook({"metadata": {"name": name}})
        seen.append((changed["metadata"]["name"], changed["pid"]))

    threads = [threading.Thread(target=ask, args=(f"p{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name for name, _ in seen} == {f"p{number}" for number in range(20)}
    assert len({pid for _, pid in seen}) == 1


def test_what_the_hook_prints_does_not_get_into_the_pod(make: Make) -> None:
    assert make("print('loaded')\ndef mutate(pod):\n print('hello')\n")(POD) == POD


def test_an_error_of_the_hook_s_is_told_and_the_next_pod_is_served(make: Make) -> None:
    hook = make("def mutate(pod):\n if pod['metadata']['name'] == 'p': raise KeyError('team')\n")
    with pytest.raises(PodFault, match=r"mutation hook our_pods:mutate failed: KeyError: 'team'"):
        hook(POD)
    assert hook({"metadata": {"name": "q"}}) == {"metadata": {"name": "q"}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def mutate(:\n", "failed: SyntaxError"),
        ("", "failed: AttributeError: module 'our_pods' has no attribute 'mutate'"),
        ("mutate = 3\n", "failed: TypeError: mutate is no function"),
        ("import nothing_of_that_name\n", "failed: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def mutate(pod):\n return {1, 2}\n", "failed: TypeError: Object of type set is not JSON serializable"),
        ("import os\ndef mutate(pod):\n os._exit(3)\n", "the process of the mutation hook our_pods:mutate died"),
        ("import os\nos._exit(3)\n", "the process of the mutation hook our_pods:mutate died"),
    ],
)
def test_a_hook_that_cannot_work_says_why_each_time(make: Make, text: str, said: str) -> None:
    hook = make(text)
    for _ in range(2):
        with pytest.raises(PodFault) as refused:
            hook(POD)
        assert said in str(refused.value)


def test_a_hook_that_does_not_answer_is_killed_and_started_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mutation, "_ONE_POD", 0.3)
    hook = make("import time\ndef mutate(pod):\n if pod['metadata']['name'] == 'p': time.sleep(600)\n")
    with pytest.raises(PodFault, match="took more than 0 s to answer"):
        hook(POD)
    monkeypatch.setattr(mutation, "_ONE_POD", 20.0)
    assert hook({"metadata": {"name": "q"}}) == {"metadata": {"name": "q"}}


def test_a_pod_goes_through_the_hook_at_last(make: Make) -> None:
    hook = make("def mutate(pod):\n pod['spec']['priorityClassName'] = 'low'\n")
    assert manifest_of(work_of(), settings_of(), "s", hook)["spec"]["priorityClassName"] == "low"


@pytest.mark.parametrize("function", ["our_pods", "our_pods:", ":mutate", "our pods:mutate", "a..b:c", "a:b.c"])
def test_a_name_that_is_no_function_s_is_refused_at_the_start(function: str) -> None:
    with pytest.raises(SettingsError, match="expected MODULE:FUNCTION"):
        MutationHook(function)
