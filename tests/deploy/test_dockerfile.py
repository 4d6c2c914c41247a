"""The Dockerfiles keep the rules, and copy what there is."""

import fnmatch
import shutil
import subprocess
import tomllib

import pytest

from tests.deploy.composing import ROOT
from tests.deploy.dockerfile import complaints, read

DOCKER = ROOT / "deploy" / "docker"
IMAGE = (DOCKER / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.dags"])
def test_a_dockerfile_keeps_the_rules(name: str) -> None:
    assert complaints((DOCKER / name).read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("python:3.11-slim", "python:latest", "the version of python:latest is not said"),
        ("python:3.11-slim", "python", "the version of python is not said"),
        ("node:24-slim", "registry.example.org/node:24-slim", "names a registry"),
        ("COPY ui ui", "ADD https://example.org/ui.tar.gz ui", "use COPY"),
        ('ENTRYPOINT ["tini", "--", "airloom"]', "ENTRYPOINT airloom", "not in exec form"),
        ("--chown=root:root ", "", "whose it is"),
        (" \\\n    && rm -rf /var/lib/apt/lists/*", "", "apt's lists"),
        ("--no-install-recommends ", "", "recommended"),
        ("--constraint /build/constraints.txt ", "", "whatever is newest"),
        ("USER 10001:10001", "USER root", "runs as root"),
        ("USER 10001:10001", "USER airloom", "by its number"),
        ("USER 10001:10001\n", "", "runs as root"),
        ("STOPSIGNAL SIGTERM\n", "", "STOPSIGNAL"),
        ("PYTHONUNBUFFERED=1", "DB_PASSWORD=hunter2", "a secret would stay"),
        ("RUN pip wheel .", "RUN curl https://example.org/x && pip wheel .", "downloaded"),
    ],
)
def test_a_dockerfile_that_breaks_a_rule_is_found(before: str, after: str, complaint: str) -> None:
    assert before in IMAGE
    assert complaint in " ".join(complaints(IMAGE.replace(before, after)))


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not on this machine")
@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.dags"])
def test_hadolint_finds_nothing(name: str) -> None:
    done = subprocess.run(["hadolint", DOCKER / name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def sent(path: str, rules: list[str]) -> bool:
    """Whether the builder gets a path of the checkout: the last rule that fits it, or a folder it is in, decides."""
    kept = True
    parents = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = [
            part for parent in parents for part in (parent, parent.rsplit("/", 1)[-1] if "**/" in rule else parent)
        ]
        if any(fnmatch.fnmatchcase(name, pattern) for name in names):
            kept = rule.startswith("!")
    return kept


def test_what_the_image_is_made_from_is_there_and_is_sent_to_the_builder() -> None:
    lines = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    for one in read(IMAGE):
        words = [word for word in one.rest.split() if not word.startswith("--")]
        if one.name != "COPY" or "--from=" in one.rest or words[0].startswith("dist/"):
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source
            assert sent(source, rules), source
    assert sent("src/airloom/cli/main.py", rules)
    assert sent("dist/airloom-0.1.0-py3-none-any.whl", rules)
    secrets = ("deploy/compose/secrets/secret_key", "deploy/compose/.env", ".git/config", "demo/airloom.db")
    made = (".venv/bin/python", "ui/node_modules/x/y.js", "src/airloom/api/static/index.html", "src/airloom/x.pyc")
    for away in (*secrets, *made, "dist/other.whl", "src/airloom/__pycache__/x"):
        assert not sent(away, rules), away


def test_the_image_has_what_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (installed,) = (one.rest for one in read(IMAGE) if "[celery,kubernetes,otel]" in one.rest)
    assert {"celery", "kubernetes", "otel"} <= set(project["optional-dependencies"])
    base = next(one.rest for one in read(IMAGE) if one.name == "ARG" and one.rest.startswith("PYTHON="))
    assert base == f"PYTHON=python:{project['requires-python'].removeprefix('>=')}-slim"
    assert "--constraint /build/constraints.txt" in installed


def test_the_image_of_ones_own_starts_from_this_one() -> None:
    (base,) = (one.rest for one in read((DOCKER / "Dockerfile.dags").read_text("utf-8")) if one.name == "ARG")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert base == f"AIRLOOM=airloom:{version}"
