"""The Helm chart: whatever its values are, what it makes fits together, is told real settings, and may do no more than
it has to. What an API server says to it: tests/kubernetes/test_chart.py.
"""

import base64
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from airloom.executors.kubernetes.settings import read_clusters
from airloom.settings import Loaded
from airloom.settings import load as load_settings
from tests.deploy import charts
from tests.deploy.charts import CASES, CHART, EXAMPLES, LEAST, Object, helm, of_kind, pods, render
from tests.deploy.composing import ROOT

SECRET = re.compile(r"password|secret|token|_key$|broker$|database__url$", re.IGNORECASE)


@pytest.fixture(params=CASES, scope="module")
def values(request: pytest.FixtureRequest) -> Object:
    """Values of each case."""
    return CASES[request.param]


@pytest.fixture(scope="module")
def objects(values: Object) -> list[Object]:
    """What is made of them."""
    return render(values)


def matches(labels: dict[str, str], selector: Object) -> bool:
    """Whether a selector, as Kubernetes has it, selects these labels."""
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def test_helm_finds_nothing_to_say_of_the_chart(values: Object) -> None:
    report = helm.lint(CHART, values, strict=True)
    found = [one["error"] for one in report["messages"] if one["severity"] > 1]
    assert (found, report["errors"]) == ([], [])


def test_every_value_is_in_the_schema() -> None:
    schema = charts.chart().schema

    def resolved(one: Any) -> Any:
        return schema["definitions"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one

    def check(value: Any, one: Any, where: str) -> None:
        one = resolved(one)
        if isinstance(value, dict) and "properties" in one:
            assert one["additionalProperties"] is False, where
            for key in value:
                check(value[key], one["properties"][key], f"{where}.{key}")

    check(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")), schema, "")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"executer": "celery"}, "additional properties 'executer' not allowed"),
        ({"executor": "dask"}, "value must be one of 'local', 'celery', 'kubernetes'"),
        ({"image": {"repository": ""}}, "image.repository is empty: set it to the image"),
        ({"postgresql": {"enabled": False}}, "there is no database: set database.url"),
        ({"database": {"url": "postgresql://a:b@c/d"}}, "database.url and postgresql.enabled are both set"),
        ({"database": {"url": "mysql://a"}}, "/database/url"),
        ({"existingSecret": "mine"}, "those make up their passwords themselves"),
        ({"executor": "celery"}, "there is no broker: set celery.broker"),
        ({"redis": {"enabled": True}}, "redis.enabled is for executor celery"),
        ({"dags": {"source": "git"}}, "dags.git.url is empty"),
        ({"dags": {"source": "git", "git": {"url": "x", "secret": "s"}}}, "dags.git.secretKeys go together"),
        ({"dags": {"source": "git", "git": {"url": "x", "name": "dags"}}}, "/dags/git/name"),
        ({"ingress": {"enabled": True}}, "ingress.host is empty"),
        ({"secretKey": "hunter2"}, "/secretKey"),
        ({"scheduler": {"replicas": 0}}, "/scheduler/replicas"),
        ({"scheduler": {"resources": {"request": {}}}}, "additional properties 'request' not allowed"),
        ({"celery": {"workers": {"a": {"concurrency": "many"}}}}, "/celery/workers/a"),
        ({"celery": {"workers": {"A_B": {}}}}, "A_B"),
        ({"celery": {"runnerToken": "hunter2"}}, "/celery/runnerToken"),
        ({"executor": "celery", "redis": {"enabled": True},
          "celery": {"workers": {"a": {"autoscaling": {"kind": "keda"}}}}}, "celery.workers.a: keda needs"),
        ({"executor": "celery", "redis": {"enabled": True},
          "celery": {"workers": {"a": {"autoscaling": {"kind": "hpa", "min": 0}}}}}, "autoscaling.min of 1 or more"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_with_what_is_wrong(wrong: Object, said: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        render({**LEAST, **wrong})
    assert said in str(refused.value)


def test_every_case_has_the_parts_of_its_executor() -> None:
    def parts(values: Object) -> set[str]:
        found = of_kind(render(values), "Deployment", "StatefulSet")
        return {one["metadata"]["name"].removeprefix("demo-airloom-") for one in found}

    always = {"scheduler", "loader", "postgresql"}
    assert parts(CASES["example trial"]) == always | {"api"}
    assert parts(CASES["example local"]) == always
    assert parts(CASES["example celery"]) == always | {"api", "redis", "worker-default", "worker-heavy"}
    for values in CASES.values():
        jobs = of_kind(render(values), "Job")
        assert len(jobs) == 1
        ran = [one["args"][:2] for one in charts.containers(jobs[0]["spec"]["template"])]
        assert ran[0] == ["db", "migrate"]
        assert (["tokens", "add-runner"] in ran) == (values.get("executor") == "celery")


def test_names_are_legal_however_long_the_release_is_called(values: Object) -> None:
    for objects in (render(values, "r" * 53), render({**values, "fullnameOverride": "", "nameOverride": "x" * 60})):
        for one in objects:
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one["metadata"]["name"]), one["metadata"]["name"]
            for value in one["metadata"]["labels"].values():
                assert re.fullmatch(r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]", value), value


def test_no_two_objects_have_the_same_name(objects: list[Object]) -> None:
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(set(names)) == len(names)


# --- what pods may do -------------------------------------------------------------------------------------------------
def test_no_container_is_root_can_become_so_or_writes_to_its_image(values: Object, objects: list[Object]) -> None:
    for name, pod in pods(objects):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), name
        for one in charts.containers(pod):
            given = one["securityContext"]
            assert given["allowPrivilegeEscalation"] is False, f"{name} {one['name']}"
            assert given["readOnlyRootFilesystem"] is True, f"{name} {one['name']}"
            assert given["capabilities"] == {"drop": ["ALL"]}, f"{name} {one['name']}"
            if "podSecurityContext" not in values:
                assert spec["securityContext"]["runAsUser"] > 0
            elif charts.ours(one):
                assert not spec["securityContext"].keys() & {"runAsUser", "runAsGroup", "fsGroup"}


def test_only_a_scheduler_that_makes_pods_is_given_a_token_of_kubernetes(values: Object, objects: list[Object]) -> None:
    given = {name for name, pod in pods(objects) if pod["spec"]["automountServiceAccountToken"]}
    makes_pods = values.get("executor", "kubernetes") == "kubernetes"
    assert {name.rpartition("-")[2] for name in given} == ({"scheduler"} if makes_pods else set())
    assert bool(of_kind(objects, "Role", "RoleBinding")) == makes_pods
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    accounts = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    for name, pod in pods(objects):
        if charts.ours(pod["spec"]["containers"][0]):
            assert pod["spec"]["serviceAccountName"] in accounts, name


def test_the_schedulers_account_has_its_role_wherever_pods_are_made_and_nobody_else_has(
    values: Object, objects: list[Object]
) -> None:
    own = values.get("kubernetes", {})
    spaces = {own.get("namespace") or charts.NAMESPACE, *own.get("namespaces", ())}
    roles, bindings = of_kind(objects, "Role"), of_kind(objects, "RoleBinding")
    if values.get("executor", "kubernetes") == "kubernetes":
        assert {one["metadata"]["namespace"] for one in roles} == spaces
        assert {one["metadata"]["namespace"] for one in bindings} == spaces
    for one in bindings:
        (subject,) = one["subjects"]
        assert subject["name"].endswith("-scheduler")
        assert subject["namespace"] == charts.NAMESPACE
        charts.named([role for role in roles if role["metadata"]["namespace"] == one["metadata"]["namespace"]],
                     "Role", one["roleRef"]["name"])  # fmt: skip


def test_workers_have_neither_the_databases_address_nor_the_secret_key() -> None:
    for case in ("example celery", "https for workers", "volume of theirs, in workers"):
        for name, pod in pods(render(CASES[case])):
            keys = {
                item["key"]
                for volume in pod["spec"]["volumes"]
                for item in volume.get("secret", {}).get("items", ())
                if not item["key"].endswith(".crt")
            }
            part = pod["metadata"]["labels"]["app.kubernetes.io/component"].partition("-")[0]
            assert (
                keys
                == {
                    "scheduler": {"database-url", "secret-key", "broker"},
                    "api": {"database-url", "secret-key"},
                    "loader": {"database-url"},
                    "migration": {"database-url", "runner-token"},
                    "worker": {"broker", "runner-token"},
                    "postgresql": {"postgres-password"},
                    "redis": {"redis.conf"},
                }[part]
            ), name


# --- how it fits together ---------------------------------------------------------------------------------------------
def test_what_is_mounted_is_there_and_what_is_there_is_mounted(values: Object, objects: list[Object]) -> None:
    secrets = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "Secret")}
    maps = {one["metadata"]["name"] for one in of_kind(objects, "ConfigMap")}
    claims = {one["metadata"]["name"] for one in of_kind(objects, "PersistentVolumeClaim")}
    given = {values.get("existingSecret"), "kube", "git", "inside", "flows-token"}
    for name, pod in pods(objects):
        whole = next(one for one in objects if f"{one['kind']}/{one['metadata']['name']}" == name)
        made = [one["metadata"]["name"] for one in whole["spec"].get("volumeClaimTemplates", ())]
        volumes = [one["name"] for one in pod["spec"]["volumes"]] + made
        assert len(set(volumes)) == len(volumes), name
        for one in charts.containers(pod):
            paths = [mount["mountPath"] for mount in one["volumeMounts"]]
            assert len(set(paths)) == len(paths), name
            assert {mount["name"] for mount in one["volumeMounts"]} <= set(volumes), name
        used = {mount["name"] for one in charts.containers(pod) for mount in one["volumeMounts"]}
        assert used == set(volumes), name
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume and volume["secret"]["secretName"] not in given:
                assert {item["key"] for item in volume["secret"]["items"]} <= secrets[
                    volume["secret"]["secretName"]
                ].keys()
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims | {"flows"}


def test_selectors_find_their_own_pods_and_no_others(objects: list[Object]) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects)}
    for one in of_kind(objects, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        own = one["metadata"]["name"].replace("demo-airloom-", "").replace("flows-", "")
        found = [name for name in labels if matches(labels[name], one["spec"]["selector"])]
        assert len(found) == 1, one["metadata"]["name"]
        assert found[0].endswith(f"-{own}")
    tasks = {"app.kubernetes.io/name": "airloom", "app.kubernetes.io/component": "task"}
    for one in of_kind(objects, "Deployment", "StatefulSet", "PodDisruptionBudget"):
        assert not matches(tasks, one["spec"]["selector"])


def test_services_lead_to_ports_that_are_there(objects: list[Object]) -> None:
    for service in of_kind(objects, "Service"):
        targets = [
            pod
            for _, pod in pods(objects)
            if matches(pod["metadata"]["labels"], {"matchLabels": service["spec"]["selector"]})
        ]
        assert len(targets) == 1, service["metadata"]["name"]
        open_ports = {
            port["name"]: port["containerPort"]
            for one in targets[0]["spec"]["containers"]
            for port in one.get("ports", ())
        }
        for port in service["spec"]["ports"]:
            assert open_ports[port["targetPort"]] == port["port"]
    for ingress in of_kind(objects, "Ingress"):
        (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
        service = charts.named(objects, "Service", path["backend"]["service"]["name"])
        assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_what_is_scaled_is_there_and_has_no_number_of_its_own(objects: list[Object]) -> None:
    for one in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        target = one["spec"]["scaleTargetRef"]
        assert "replicas" not in charts.named(objects, target["kind"], target["name"])["spec"]


def reaches(objects: list[Object], who: dict[str, str], whom: dict[str, str], port: int) -> bool:
    """Whether the policies let a pod with the labels `who` reach one with the labels `whom`, in the same namespace."""
    policies = [one["spec"] for one in of_kind(objects, "NetworkPolicy") if one["metadata"].get("namespace") is None]
    about = [one for one in policies if matches(whom, one["podSelector"])]
    rules = [rule for one in about for rule in one.get("ingress", ())]
    return not about or any(
        {"protocol": "TCP", "port": port} in rule["ports"]
        and ("from" not in rule or any(matches(who, peer["podSelector"]) for peer in rule["from"]))
        for rule in rules
    )


@pytest.mark.parametrize("case", ["example trial", "example celery", "example local"])
def test_the_network_lets_through_what_parts_need_and_nothing_to_the_database(case: str) -> None:
    objects = render(CASES[case])
    of = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["labels"] for _, pod in pods(objects)
    }
    of["task"] = {"app.kubernetes.io/name": "airloom", "app.kubernetes.io/component": "task"}
    of["stranger"] = {"app": "other"}
    api = of["scheduler" if case == "example local" else "api"]
    may_ask = {"scheduler", "api", "loader", "migration"} & of.keys()
    assert {name for name in of if reaches(objects, of[name], of["postgresql"], 5432)} == may_ask
    assert all(reaches(objects, of[name], api, 8080) for name in of)
    workers = {name for name in of if name.startswith("worker-")}
    expected = {"trial": {"task"}, "celery": workers, "local": set()}[case.split()[1]]
    assert {name for name in of if reaches(objects, of[name], api, 8081)} == expected
    for name in {"loader", "migration"} | workers:
        assert not any(reaches(objects, of[other], of[name], 8080) for other in of), name
    if "redis" in of:
        assert {name for name in of if reaches(objects, of[name], of["redis"], 6379)} == workers | {"scheduler"}


# --- what parts are told ----------------------------------------------------------------------------------------------
def loaded_of(pod: Object, container: str, folder: Path) -> Loaded:
    """The settings that a container of a pod reads."""
    (one,) = (one for one in pod["spec"]["containers"] if one["name"] == container)
    return load_settings(charts.environment(one, folder) | {"AIRLOOM_HOME": str(folder)}, folder)


def test_what_parts_are_told_are_settings_and_no_secrets(objects: list[Object], tmp_path: Path) -> None:
    for name, pod in pods(objects):
        for one in filter(charts.ours, charts.containers(pod)):
            names = [variable["name"] for variable in one["env"]]
            assert len(set(names)) == len(names), name
            load_settings(charts.environment(one, tmp_path) | {"AIRLOOM_HOME": str(tmp_path)}, tmp_path)
            for variable in one["env"]:
                if SECRET.search(variable["name"].removesuffix("_FILE")):
                    assert variable["value"].startswith("/") or "git_secret" in variable["name"].lower(), variable


def test_files_that_settings_name_are_mounted(objects: list[Object]) -> None:
    for name, pod in pods(objects):
        for one in filter(charts.ours, charts.containers(pod)):
            places = [mount["mountPath"] for mount in one["volumeMounts"]]
            told = {variable["name"]: str(variable.get("value")) for variable in one["env"]}
            for variable in one["env"]:
                for path in re.findall(r"(?<![\w:/])/(?:etc|run)/[\w./-]+", str(variable.get("value"))):
                    if path.startswith("/run/secrets/git/") and name.endswith("-scheduler"):
                        # Pods have it from that Secret, the scheduler only tells them so.
                        assert told["AIRLOOM__KUBERNETES__GIT_SECRET"]
                        continue
                    assert any(path.startswith(f"{place}/") for place in places), f"{name}: {path}"


def test_the_kubernetes_executor_can_read_what_the_scheduler_is_told(
    values: Object, objects: list[Object], tmp_path: Path
) -> None:
    if values.get("executor", "kubernetes") != "kubernetes":
        assert not of_kind(objects, "ConfigMap")
        return
    (pod,) = (pod for name, pod in pods(objects) if name.endswith("-scheduler"))
    section = loaded_of(pod, "scheduler", tmp_path).settings.kubernetes
    (templates,) = of_kind(objects, "ConfigMap")
    for file, text in templates["data"].items():
        (tmp_path / file).write_text(text)
    (tmp_path / Path(section.template_file).name).write_text(templates["data"]["template.yaml"])
    given = {key: getattr(section, key) for key in section.__struct_fields__}
    further = {name: file.replace("/etc/airloom/pods", str(tmp_path)) for name, file in section.templates.items()}
    clusters = read_clusters({**given, "templates": further})
    default = clusters["default"]
    full = "flows" if values.get("fullnameOverride") else "demo-airloom"
    scheme = "https" if values.get("api", {}).get("tlsSecret") else "http"
    assert default.server == f"{scheme}://{full}-api.prod.svc:8081"
    assert default.image == pod["spec"]["containers"][0]["image"]
    assert default.namespace == values.get("kubernetes", {}).get("namespace", "prod")
    assert default.template["spec"]["containers"][0]["name"] == "base"
    assert default.templates.keys() == values.get("kubernetes", {}).get("templates", {}).keys()
    if "image" in values and "pullSecrets" in values["image"]:
        for template in (default.template, *default.templates.values()):
            assert template["spec"]["imagePullSecrets"] == [{"name": "pull"}]


def test_settings_of_theirs_count_before_the_charts_own(tmp_path: Path) -> None:
    objects = render(CASES["all else"])
    (pod,) = (pod for name, pod in pods(objects) if name.endswith("-scheduler"))
    settings = loaded_of(pod, "scheduler", tmp_path).settings
    assert settings.core.executors == ("kubernetes", "local")
    assert settings.scheduler.loader is True
    assert settings.api.session == 86400
    assert settings.runner.log_max_bytes == 5_000_000_000
    assert settings.logs.store == "s3://logs/$(A)"
    assert settings.logs.store_options == {"key": "k", "client_kwargs": {"x": 1}}
    assert settings.kubernetes.clusters["west"]["kubeconfig"] == "/etc/airloom/kube/west"
    assert settings.bundles.keys() == {"sales", "dags"}


def test_the_api_answers_to_the_names_by_which_it_is_reached(tmp_path: Path) -> None:
    objects = render(CASES["example kubernetes"])
    (pod,) = (pod for name, pod in pods(objects) if name.endswith("-api"))
    api = loaded_of(pod, "api", tmp_path).settings.api
    assert {"demo-airloom-api", "demo-airloom-api.prod.svc", "airloom.example.org"} <= set(api.hosts)
    assert (api.host, api.port, api.task_port) == ("0.0.0.0", 8080, 8081)
    assert api.base_url == "https://airloom.example.org"
    assert api.trusted_proxies == ("10.0.0.0/8",)


def test_a_worker_is_given_the_time_that_its_tasks_are_promised(tmp_path: Path) -> None:
    for values in CASES.values():
        for name, pod in pods(render(values)):
            if "-worker-" in name:
                worker = loaded_of(pod, "worker", tmp_path).settings.worker
                assert pod["spec"]["terminationGracePeriodSeconds"] >= worker.grace + 30, name


def test_health_checks_ask_for_the_role_that_the_container_has(objects: list[Object]) -> None:
    for name, pod in pods(objects):
        for one in pod["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe"):
                if "exec" in one.get(probe, {}):
                    command = one[probe]["exec"]["command"][-1]
                    assert command == f"airloom health {one['args'][0]}; test $? -ne 1", name


def test_nothing_starts_on_a_database_that_is_not_migrated(objects: list[Object]) -> None:
    for name, pod in pods(objects):
        told = {variable["name"] for one in filter(charts.ours, charts.containers(pod)) for variable in one["env"]}
        if "AIRLOOM__DATABASE__URL_FILE" in told and not name.startswith("Job/"):
            (first,) = pod["spec"]["initContainers"]
            assert first["command"] == ["sh", "-c", "until airloom db check; do sleep 3; done"], name


def test_the_job_has_another_name_when_it_is_another_one() -> None:
    def job(values: Object) -> Object:
        return of_kind(render(values), "Job")[0]

    first = job(LEAST)
    assert job({**LEAST, "api": {"replicas": 5}}) == first
    newer = job({**LEAST, "image": {"repository": "airloom", "tag": "2"}})
    assert newer["metadata"]["name"] != first["metadata"]["name"]


def test_pods_are_made_anew_when_a_secret_or_a_template_is_changed() -> None:
    def seals(values: Object) -> dict[str, str]:
        made = pods(render({**CASES["own database"], **values}))
        return {name: pod["metadata"]["annotations"]["checksum/files"] for name, pod in made if "Job" not in name}

    before = seals({})
    assert seals({"api": {"replicas": 3}}) == before
    after = seals({"database": {"url": "postgresql://u:other@db:5432/a"}})
    assert not before.items() & after.items()
    templates = seals({"kubernetes": {"template": {"spec": {"containers": [{"name": "base"}]}}}})
    assert {name for name in before if before[name] != templates[name]} == {"Deployment/demo-airloom-scheduler"}


# --- secrets ----------------------------------------------------------------------------------------------------------
def secret_of(values: Object) -> dict[str, str]:
    """What is in the Secret that the chart makes."""
    (found,) = of_kind(render(values), "Secret")
    assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


def test_what_is_not_given_is_made_up_as_airloom_takes_it() -> None:
    made, other = secret_of(CASES["example celery"]), secret_of(CASES["example celery"])
    Fernet(made["secret-key"])
    assert re.fullmatch(r"alm_[0-9a-f]{16}_[0-9a-f]{48}", made["runner-token"])
    assert made["postgres-password"] in made["database-url"]
    assert made["database-url"].endswith("@demo-airloom-postgresql:5432/airloom")
    assert made["redis.conf"] == f"requirepass {made['redis-password']}\n"
    assert made["broker"] == f"redis://:{made['redis-password']}@demo-airloom-redis:6379/0"
    assert not set(made.values()) & set(other.values())


def test_what_is_given_counts() -> None:
    case = CASES["a broker of theirs"]
    made = secret_of(case)
    assert made["broker"] == case["celery"]["broker"]
    assert made["runner-token"] == case["celery"]["runnerToken"]
    assert made["secret-key"] == case["secretKey"]
    assert secret_of(CASES["own database"])["database-url"] == "postgresql://u:p@db:5432/a"
    assert not of_kind(render(CASES["example kubernetes"]), "Secret")


# --- words ------------------------------------------------------------------------------------------------------------
def test_the_notes_say_what_to_do_next(values: Object) -> None:
    text = charts.notes(values)
    full = "flows" if values.get("fullnameOverride") else "demo-airloom"
    place = f"{full}-scheduler -c api" if values.get("executor") == "local" else f"{full}-api"
    assert f"kubectl -n prod exec deploy/{place} -- airloom users link admin" in text
    assert ("port-forward" in text) != bool(values.get("ingress"))
    assert "\n\n\n" not in text
    for one in ("hunter2", "u:p@"):
        assert one not in text


def test_the_charts_version_is_the_programs() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    described = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert described["appVersion"] == described["version"] == version


def test_no_registry_is_named() -> None:
    for path in (*CHART.rglob("*"), *EXAMPLES.values()):
        if path.is_file():
            for line in path.read_text("utf-8").splitlines():
                if re.match(r"\s*(image|repository):", line):
                    assert not re.search(r"[a-z]\.[a-z]+/", line), f"{path}: {line}"
