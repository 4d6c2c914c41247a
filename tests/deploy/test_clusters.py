"""What sets up whole clusters: scripts and manifests for kind and for three machines; and the example of a pipeline."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import charts
from tests.deploy.composing import ROOT, read_env
from tests.deploy.dockerfile import complaints

DEPLOY = ROOT / "deploy"
MACHINES = DEPLOY / "vagrant-rancher"
SCRIPTS = [
    *(DEPLOY / "kind" / name for name in ("up", "down")),
    *sorted((MACHINES / "provision").iterdir()),
    DEPLOY / "compose" / "make-secrets",
]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def steps() -> list[dict[str, Any]]:
    """The steps of the pipeline."""
    found: list[dict[str, Any]] = workflow()["jobs"]["roll-out"]["steps"]
    return found


def workflow() -> dict[str, Any]:
    """The pipeline."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "ci" / "workflow.yaml").read_text("utf-8"))
    return found


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not on this machine")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "-x", "-P", "SCRIPTDIR", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not on this machine")
def test_shellcheck_finds_nothing_in_the_pipeline() -> None:
    for step in steps():
        if "run" in step:
            done = subprocess.run(
                ["shellcheck", "--shell=bash", "-"],
                input=step["run"], capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("vagrant") is None, reason="vagrant is not on this machine")
def test_vagrant_takes_the_vagrantfile(tmp_path: Path) -> None:
    # Vagrant writes beside the Vagrantfile.
    folder = shutil.copytree(MACHINES, tmp_path / "deploy" / "vagrant-rancher")
    (tmp_path / "deploy" / "helm").mkdir()
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=folder, env=os.environ | {"VAGRANT_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert "Vagrantfile validated successfully" in done.stdout, done.stderr
    token = folder / ".vagrant" / "cluster-token"
    assert len(token.read_text()) == 64
    assert token.stat().st_mode & 0o777 == 0o600


def test_what_is_fetched_for_the_machines_is_for_the_user_to_name() -> None:
    settings = read_env(MACHINES / "settings.env")
    assert {name for name in settings if not settings[name]} == {"K3S_SCRIPT", "CERT_MANAGER_CHARTS", "RANCHER_CHARTS"}
    assert settings["AIRLOOM_TAG"] == VERSION
    text = "".join(path.read_text("utf-8") for path in (MACHINES / "Vagrantfile", *(MACHINES / "provision").iterdir()))
    known = {*re.findall(r'SETTINGS\.fetch\("(\w+)"\)', text), *re.findall(r"\$\{?([A-Z][A-Z_0-9]+)", text)}
    assert settings.keys() <= known


def filled(name: str, folder: Path, **values: str) -> list[dict[str, Any]]:
    """A manifest as the machine fills it in."""
    script = (MACHINES / "provision" / "charts").read_text("utf-8")
    (fill,) = re.findall(r"^fill\(\) \{.*?^\}", script, re.MULTILINE | re.DOTALL)
    fill = fill.replace("/vagrant/manifests", str(MACHINES / "manifests"))
    given = [f"{key}={value}" for key, value in values.items()]
    subprocess.run(
        ["bash", "-c", f'set -euo pipefail\ninto={folder}\n{fill}\nfill "$@"', "charts", name, *given],
        check=True, timeout=30, capture_output=True,
    )  # fmt: skip
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    text = (folder / name).read_text("utf-8")
    assert not re.search(r"@[A-Z]+@", text)
    return charts.objects_of(text)


def test_the_machines_are_told_what_belongs_into_their_manifests(tmp_path: Path) -> None:
    odd = {"CHARTS": "https://charts.example.org/a&b=c", "VERSION": "1.2"}
    (manager,) = filled("cert-manager.yaml", tmp_path, **odd)
    assert (manager["spec"]["repo"], manager["spec"]["version"]) == (odd["CHARTS"], "1.2")
    (rancher,) = filled("rancher.yaml", tmp_path, PASSWORD="p4ss", **odd)
    assert yaml.safe_load(rancher["spec"]["valuesContent"])["bootstrapPassword"] == "p4ss"
    airloom = filled("airloom.yaml", tmp_path, IMAGE="team/flows", TAG="7", CHART="H4sIA+/=")
    assert airloom[-1]["spec"]["chartContent"] == "H4sIA+/="


@pytest.mark.parametrize("where", ["kind", "machines"])
def test_the_chart_takes_the_values_of_whole_clusters(where: str, tmp_path: Path) -> None:
    if where == "kind":
        values = yaml.safe_load((DEPLOY / "kind" / "values.yaml").read_text("utf-8"))
    else:
        chart = filled("airloom.yaml", tmp_path, IMAGE="airloom", TAG=VERSION, CHART="")[-1]
        values = yaml.safe_load(chart["spec"]["valuesContent"])
    objects = charts.render(values, "airloom", "airloom")
    names = {one["metadata"]["name"] for one in charts.of_kind(objects, "Deployment")}
    # The scripts wait for these.
    assert {"airloom-api", "airloom-scheduler"} <= names


def test_the_image_for_kind_keeps_the_rules() -> None:
    assert complaints((DEPLOY / "kind" / "Dockerfile").read_text("utf-8")) == []


def test_the_pipeline_gives_its_secrets_to_no_command_line_and_to_no_step_that_needs_none() -> None:
    text = (DEPLOY / "ci" / "workflow.yaml").read_text("utf-8")
    # Its own words for what is in the text of a script would be put there before the shell reads it.
    assert not [step for step in steps() if "${{" in step.get("run", "")]
    assert sorted(re.findall(r"secrets\.(\w+)", text)) == ["KUBECONFIG", "REGISTRY_PASSWORD", "REGISTRY_USER"]
    assert workflow()["permissions"] == {"contents": "read"}
    for step in steps():
        used = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", step.get("run", "")))
        told = {*step.get("env", ()), *workflow()["env"], "KUBECONFIG", "RUNNER_TEMP"}
        assert used <= told, step["name"]


def test_the_pipeline_uses_values_that_the_chart_has() -> None:
    (roll_out,) = (step["run"] for step in steps() if "helm upgrade" in step.get("run", ""))
    chart = yaml.safe_load((charts.CHART / "values.yaml").read_text("utf-8"))
    for name in re.findall(r"--set (\S+?)=", roll_out):
        section, key = name.split(".")
        assert key in chart[section]


def test_no_host_is_named_that_something_is_fetched_from() -> None:
    for path in (*(DEPLOY / "kind").iterdir(), *MACHINES.rglob("*"), DEPLOY / "ci" / "workflow.yaml"):
        if path.is_file() and ".vagrant" not in path.parts:
            assert not re.search(r"https?://(?!\w+\.test\b)[a-z]", path.read_text("utf-8")), path
