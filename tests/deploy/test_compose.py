"""The compose files keep the specification and the rules that matter where nobody tries them out first."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from airloom.settings import load as load_settings
from tests.deploy.compose_schema import SCHEMA
from tests.deploy.composing import COMPOSE, PROJECTS, ROOT, Wrong, fill, load, read_env

#: they do one thing and end
ONE_SHOT = {"migrate", "runner-token"}
SECRET = re.compile(r"password|secret|token|_key$|credential|auth|broker$|database__url$", re.IGNORECASE)


@pytest.fixture(params=sorted(PROJECTS))
def project(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The project with each broker."""
    return load(*PROJECTS[request.param])


def services(project: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each service by its name."""
    return sorted(project["services"].items())


def ours(service: dict[str, Any]) -> bool:
    """Whether it runs Airloom's image, whose user is not root."""
    return str(service["image"]).startswith("airloom:")


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    """Where a service finds which secret."""
    given = (s if isinstance(s, dict) else {"source": s, "target": f"/run/secrets/{s}"} for s in service["secrets"])
    return {secret["target"]: secret["source"] for secret in given}


def test_the_project_is_valid_by_the_specification(project: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    assert [f"{list(error.instance_path)}: {error.message}" for error in validator.iter_errors(project)] == []


def test_the_schema_would_find_a_slip(project: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(SCHEMA)
    project["services"]["api"]["health_check"] = {}
    project["services"]["broker"]["restart"] = "sometimes"
    assert len(list(validator.iter_errors(project))) == 2


def test_there_is_every_part_of_a_cluster(project: dict[str, Any]) -> None:
    commands = {name: service["command"] for name, service in services(project) if ours(service)}
    roles = [command[0] for command in commands.values()]
    assert {"db", "tokens", "scheduler", "loader", "api", "worker", "flower"} == set(roles)
    assert roles.count("worker") == 2
    assert project["services"]["scheduler"]["deploy"]["replicas"] == 2
    workers = [service for _, service in services(project) if service["command"] == ["worker"]]
    assert {worker["environment"]["AIRLOOM__WORKER__QUEUES"] for worker in workers} == {"default", "heavy"}


def test_every_service_that_stays_has_a_health_check_and_comes_back(project: dict[str, Any]) -> None:
    for name, service in services(project):
        assert service["restart"] == ("on-failure" if name in ONE_SHOT else "unless-stopped"), name
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name


def test_health_checks_ask_for_the_role_that_the_service_has(project: dict[str, Any]) -> None:
    for name, service in services(project):
        if ours(service) and name not in ONE_SHOT:
            assert service["healthcheck"]["test"] == ["CMD", "airloom", "health", service["command"][0]], name


def test_what_is_waited_for_can_be_waited_for(project: dict[str, Any]) -> None:
    for name, service in services(project):
        for other, wait in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
            assert wait["condition"] == expected, f"{name} waits for {other}"
    # Otherwise `up --wait` takes their end for a failure.
    stays = [service for name, service in services(project) if name not in ONE_SHOT]
    assert {other for service in stays for other in service.get("depends_on", ())} >= ONE_SHOT


def test_nothing_starts_on_a_database_that_is_not_migrated(project: dict[str, Any]) -> None:
    for name, service in services(project):
        if "AIRLOOM__DATABASE__URL_FILE" in service.get("environment", {}) and name != "migrate":
            assert "migrate" in service["depends_on"], name


def test_no_container_is_root_or_can_become_so(project: dict[str, Any]) -> None:
    for name, service in services(project):
        assert ours(service) or service["user"] not in ("root", "0"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service, name


def test_images_have_a_version(project: dict[str, Any]) -> None:
    for name, service in services(project):
        assert re.search(r":\d+(\.\d+)*(-alpine)?$", service["image"]), f"{name}: {service['image']}"


def test_no_secret_is_in_the_environment_or_in_a_command(project: dict[str, Any]) -> None:
    for name, service in services(project):
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable.removesuffix("_FILE")):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value in secrets_of(service), f"{name}: {variable}"
        assert "requirepass" not in str(service["command"])


def test_every_secret_that_is_mounted_is_made_by_the_script_and_used(project: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_bytes((COMPOSE / "make-secrets").read_bytes())
    subprocess.run(["sh", script], check=True, timeout=30, capture_output=True)
    for name, service in services(project):
        text = str([service.get("environment"), service["command"], service.get("healthcheck")])
        for target, secret in secrets_of(service).items() if "secrets" in service else ():
            assert (tmp_path / project["secrets"][secret]["file"]).is_file(), secret
            assert target in text or target.startswith("/etc/rabbitmq/conf.d/"), f"{name} does not use {target}"


def test_workers_cannot_reach_the_database_and_do_not_have_its_secrets(project: dict[str, Any]) -> None:
    for name, service in services(project):
        if service["command"][0] in ("worker", "flower"):
            assert service["networks"] == ["work"], name
            assert set(secrets_of(service).values()) <= {"broker", "runner_token", "flower_login"}, name
    assert project["networks"]["data"]["internal"] is True
    assert project["services"]["postgres"]["networks"] == ["data"]


def test_ports_are_open_to_this_machine_only_until_somebody_says_otherwise(project: dict[str, Any]) -> None:
    assert {name for name, service in services(project) if "ports" in service} == {"api", "flower"}
    for _, service in services(project):
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1"


def test_there_is_a_port_for_each_api_process(project: dict[str, Any]) -> None:
    api = project["services"]["api"]
    first, _, last = api["ports"][0]["published"].partition("-")
    assert int(last or first) - int(first) + 1 == int(api["deploy"]["replicas"])


def test_volumes_networks_and_secrets_are_declared_and_used(project: dict[str, Any]) -> None:
    used: dict[str, set[str]] = {"volumes": set(), "networks": set(), "secrets": set()}
    for _, service in services(project):
        named = (mount.get("source", "") for mount in service.get("volumes", ()) if mount["type"] == "volume")
        used["volumes"] |= set(filter(None, named))
        used["networks"] |= set(service["networks"])
        used["secrets"] |= set(secrets_of(service).values()) if "secrets" in service else set()
    # With RabbitMQ the volume and the password file of Redis are left over.
    left_over = {"broker", "redis.conf"} if "rabbitmq" in project["volumes"] else set()
    assert used["volumes"] | (left_over & {"broker"}) == set(project["volumes"])
    assert used["networks"] == set(project["networks"])
    assert used["secrets"] | (left_over & {"redis.conf"}) == set(project["secrets"])


def test_workers_share_no_home_and_are_given_the_time_that_their_tasks_are_promised(project: dict[str, Any]) -> None:
    for name, service in services(project):
        if service["command"] != ["worker"]:
            continue
        (home,) = (mount for mount in service["volumes"] if mount["target"] == "/var/lib/airloom")
        assert home == {"type": "volume", "target": "/var/lib/airloom"}, "a named volume is the same for all of them"
        settings = load_settings({**service["environment"], "AIRLOOM__CELERY__BROKER_FILE": "/dev/null"}, Path("/"))
        minutes = int(service["stop_grace_period"].removesuffix("m"))
        assert minutes * 60 >= settings.settings.worker.grace + 30, name


def test_what_compose_gives_are_settings(project: dict[str, Any], tmp_path: Path) -> None:
    for target in ("database_url", "broker", "secret_key", "runner_token"):
        (tmp_path / target).write_text("x")
    for _, service in services(project):
        if ours(service):
            environment = service["environment"]
            load_settings(
                {name: value.replace("/run/secrets", str(tmp_path)) for name, value in environment.items()}, tmp_path
            )


def test_dot_env_has_every_variable_and_no_other_and_the_version_of_the_program() -> None:
    env = read_env(COMPOSE / ".env")
    texts = "".join((COMPOSE / name).read_text("utf-8") for name in PROJECTS["rabbitmq"])
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", texts)) == set(env)
    assert env["AIRLOOM_TAG"] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert not [name for name in env if SECRET.search(name) and env[name]]


def test_a_variable_that_must_be_set_is_missed() -> None:
    assert fill("a$${b}-${C}-${D-e}-${F:-g}", {"C": "c", "F": ""}) == "a${b}-c-e-g"
    for text in ("${A:?}", "${A}", "$A"):
        with pytest.raises(Wrong):
            fill(text, {})
    with pytest.raises(Wrong):
        load("compose.yaml", env={})
