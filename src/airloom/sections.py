"""Every setting of Airloom by section: its type, its default and what it means. How they are read: settings.py."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from airloom.model.bundles import Bundle

_SECONDS = {"unit": "seconds"}
_BYTES = {"unit": "bytes"}
_TIMEZONE = {"unit": "timezone"}
_TIMEZONE_OR_LOCAL = {"unit": "timezone or local"}
_EXECUTOR = {"unit": "executor"}
_SECRET = {"secret": True}
_READ_ONLY = {"read_only": True}
_LIST = {"unit": "list"}
_TABLE = {"unit": "table", "secret": True}
_PLAIN_TABLE = {"unit": "table"}


def _doc(
    text: str,
    extra: dict[str, Any] | None = None,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> Meta:
    if gt is not None:
        return Meta(description=text, extra=extra, gt=gt)
    return Meta(description=text, extra=extra, ge=ge, le=le)


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """What everything shares."""

    home: Annotated[Path, _doc("The folder of everything Airloom keeps; set by AIRLOOM_HOME.", _READ_ONLY)]
    dags_folder: Annotated[
        Path, _doc("The folder of DAG files, as bundle dags; default: dags in the home folder, without [bundles].")
    ]
    executors: Annotated[tuple[str, ...], _doc("Executors, the first is the default.", _EXECUTOR)] = ("local",)
    parallelism: Annotated[int, _doc("How many tasks run at once over all executors; 0 = no limit.", ge=0)] = 0
    dags_are_paused_at_creation: Annotated[bool, _doc("Whether a new DAG waits to be unpaused.")] = True
    infrastructure_retries: Annotated[
        int, _doc("Tries lost through no fault of the task's that cost it none of its retries.", ge=0)
    ] = 3
    max_map_length: Annotated[int, _doc("Instances that one mapped task may have.", ge=1)] = 100_000
    secret_key: Annotated[
        str,
        _doc("Key of variables and connections; default: in secret.key. Old keys may follow, after commas.", _SECRET),
    ] = ""


class DatabaseSection(msgspec.Struct, frozen=True, kw_only=True):
    """The metadata database."""

    url: Annotated[str, _doc("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; default: airloom.db at home.")]


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The local executor."""

    parallelism: Annotated[int, _doc("Tasks at once on this machine; 0 = no limit; default: cores - 1.", ge=0)]
    isolation: Annotated[
        Literal["fork", "reuse"], _doc("fork: a process for each try; reuse: one process runs many tries.")
    ] = "fork"
    memory_limit: Annotated[int, _doc("Memory at which a try is killed; 0 = no limit.", _BYTES, ge=0)] = 0
    grace: Annotated[float, _doc("Time between asking a task to stop and killing it.", _SECONDS, ge=0)] = 5.0


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """The process that supervises tries."""

    zygote_limit: Annotated[int, _doc("DAG file versions kept imported to fork tasks from.", ge=1)] = 8
    orphan_timeout: Annotated[
        float, _doc("How long a runner with nothing to run waits for its scheduler to come back.", _SECONDS, ge=0)
    ] = 600.0
    import_timeout: Annotated[float, _doc("Time that importing a DAG file for a task may take.", _SECONDS, gt=0)] = 30.0
    log_max_bytes: Annotated[int, _doc("Size at which the log of one try is cut off.", _BYTES, ge=0)] = 100 * 2**20
    heartbeat: Annotated[float, _doc("Time between two renewals of a runner's leases.", _SECONDS, gt=0)] = 5.0
    lease: Annotated[
        float,
        _doc("How long a runner elsewhere may be out of touch before its tries run again.", _SECONDS, gt=0),
    ] = 60.0


class Celery(msgspec.Struct, frozen=True, kw_only=True):
    """The Celery executor: its broker."""

    broker: Annotated[
        str, _doc("redis://, rediss://, sentinel://, amqp:// or amqps:// address of the broker.", {"url": True})
    ] = "redis://127.0.0.1:6379/0"
    broker_options: Annotated[
        dict[str, Any],
        _doc("Celery's transport options, such as master_name for Sentinel: a table, JSON.", _TABLE),
    ] = {}
    queue_type: Annotated[
        Literal["classic", "quorum"], _doc("Queues on RabbitMQ; quorum ones are kept by several nodes.")
    ] = "classic"
    prefix: Annotated[str, _doc("What the names of queues at the broker begin with.")] = "airloom."
    tls_ca: Annotated[str, _doc("Certificates to trust at the broker instead of the system's.")] = ""
    tls_certificate: Annotated[str, _doc("File of the certificate shown to the broker.")] = ""
    tls_key: Annotated[str, _doc("File of that certificate's key.")] = ""


class WorkerSection(msgspec.Struct, frozen=True, kw_only=True):
    """A Celery worker: `airloom worker`."""

    name: Annotated[str, _doc("What it is called; default: the name of its machine.")] = ""
    queues: Annotated[tuple[str, ...], _doc("The queues whose tasks it runs.", _LIST)] = ("default",)
    concurrency: Annotated[str, _doc("Tasks at once: a number, or a range such as 4..32; default: cores.")] = ""
    memory_reserve: Annotated[
        int, _doc("Free memory below which a worker with a range does not grow.", _BYTES, ge=0)
    ] = 512 * 2**20
    grace: Annotated[float, _doc("How long a worker that is stopped lets its tasks go on.", _SECONDS, ge=0)] = 600.0
    server: Annotated[str, _doc("Address of the API, or of the task API by itself.")] = "http://127.0.0.1:8080"
    token_file: Annotated[str, _doc("File of its credential; default: runner.token at home.")] = ""
    ca_file: Annotated[str, _doc("Certificates to trust at the server instead of the system's.")] = ""


class Kubernetes(msgspec.Struct, frozen=True, kw_only=True):
    """The Kubernetes executor: a pod for each try. What it means in full: [kubernetes.md](kubernetes.md)."""

    image: Annotated[str, _doc("The image of tasks: Airloom, and what DAGs import.")] = ""
    server: Annotated[str, _doc("Address of the API, or of the task API by itself, as pods reach it.")] = ""
    ca_file: Annotated[str, _doc("Certificates to trust at the server; pods are given what is in the file.")] = ""
    namespace: Annotated[str, _doc("Where pods are made; empty = the namespace of the credentials.")] = ""
    namespaces: Annotated[tuple[str, ...], _doc("Further namespaces that a task may choose.", _LIST)] = ()
    kubeconfig: Annotated[
        str, _doc("File of clusters and credentials; empty = KUBECONFIG, or ~/.kube/config, or this pod's own.")
    ] = ""
    context: Annotated[str, _doc("The context in that file; empty = its current one.")] = ""
    clusters: Annotated[
        dict[str, Any],
        _doc("Further clusters by name, tables of these settings; a task chooses one.", _PLAIN_TABLE),
    ] = {}
    service_account: Annotated[str, _doc("The account that tasks run as; empty = the namespace's default.")] = ""
    template: Annotated[str, _doc("What pods begin with, as YAML; a template_file is the other way.")] = ""
    template_file: Annotated[str, _doc("The file of what pods begin with, YAML.")] = ""
    templates: Annotated[
        dict[str, Any], _doc("Files of further templates by name; a task chooses one.", _PLAIN_TABLE)
    ] = {}
    mutation_hook: Annotated[
        str, _doc("MODULE:FUNCTION that changes each pod before it is made; it runs in a process of its own.")
    ] = ""
    dags_folder: Annotated[str, _doc("The folder of DAG files in pods; empty = [core] dags_folder.")] = ""
    dags_claim: Annotated[
        str, _doc("The PersistentVolumeClaim that DAG files are on; empty = they are in the image.")
    ] = ""
    dags_path: Annotated[str, _doc("The folder of DAG files on that volume.")] = ""
    git_secret: Annotated[
        str, _doc("The Secret by which pods reach bundles from git: ssh-privatekey, known_hosts, password.")
    ] = ""
    start_limit: Annotated[float, _doc("How long a pod may take to start.", _SECONDS, gt=0)] = 600.0
    delete: Annotated[
        Literal["always", "on_success", "never"], _doc("Which pods are deleted as soon as they have ended.")
    ] = "on_success"
    keep: Annotated[float, _doc("How long the others are kept; 0 = for ever.", _SECONDS, ge=0)] = 3600.0
    creators: Annotated[int, _doc("Pods made at once.", ge=1, le=64)] = 8
    heartbeat: Annotated[float, _doc("Time between two renewals of a pod's lease.", _SECONDS, gt=0)] = 30.0
    lease: Annotated[float, _doc("How long a pod may be out of touch before its try runs again.", _SECONDS, ge=60)] = (
        300.0
    )


class Loader(msgspec.Struct, frozen=True, kw_only=True):
    """What watches the DAG files."""

    interval: Annotated[
        float, _doc("Time between two looks at the whole folder, beside the file events.", _SECONDS, gt=0)
    ] = 30.0
    refresh: Annotated[
        float, _doc("Time after which an unchanged file is parsed again; 0 = never.", _SECONDS, ge=0)
    ] = 300.0
    parse_timeout: Annotated[float, _doc("Time that one DAG file may take to be parsed.", _SECONDS, gt=0)] = 30.0
    processes: Annotated[int, _doc("DAG files parsed at once.", ge=1)] = 2


class Scheduler(msgspec.Struct, frozen=True, kw_only=True):
    """The scheduler."""

    loader: Annotated[bool, _doc("Whether it parses DAG files, too; if not, `airloom loader` does.")] = True
    lease: Annotated[float, _doc("How long a silent leader keeps its place.", _SECONDS, gt=0)] = 5.0
    answer_timeout: Annotated[float, _doc("How long a command waits for an answer.", _SECONDS, gt=0)] = 10.0


class XComSection(msgspec.Struct, frozen=True, kw_only=True):
    """Values that tasks pass on."""

    max_size: Annotated[int, _doc("What the XComs of one try may take in all, as JSON.", _BYTES, ge=1)] = 64 * 2**20


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Logs of tasks."""

    retention: Annotated[int, _doc("Days that task logs are kept; 0 = for ever.", ge=0)] = 0
    store: Annotated[
        str, _doc("Where finished logs go, such as s3://bucket/path: any address that fsspec knows.", {"url": True})
    ] = ""
    store_options: Annotated[dict[str, Any], _doc("What fsspec is told beside it: a table, JSON.", _TABLE)] = {}


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long history is kept."""

    days: Annotated[int, _doc("Days that finished runs are kept; 0 = for ever.", ge=0)] = 0
    audit: Annotated[int, _doc("Days that the audit log is kept; 0 = for ever.", ge=0)] = 0
    every: Annotated[float, _doc("Time between two clean-ups.", _SECONDS, gt=0)] = 3600.0


class ApiSection(msgspec.Struct, frozen=True, kw_only=True):
    """The API and the web UI."""

    host: Annotated[str, _doc("Address to listen at; 0.0.0.0 = every network of this machine.")] = "127.0.0.1"
    port: Annotated[int, _doc("Port to listen at; 0 = any free one.", ge=0)] = 8080
    task_port: Annotated[int, _doc("Port of the task API by itself; 0 = on the same port as the rest.", ge=0)] = 0
    base_url: Annotated[str, _doc("The address that browsers use, if a proxy stands before it.")] = ""
    hosts: Annotated[tuple[str, ...], _doc("Further names that browsers reach it by; * = any.", _LIST)] = ()
    trusted_proxies: Annotated[tuple[str, ...], _doc("Proxies whose X-Forwarded headers are believed.", _LIST)] = ()
    tls_certificate: Annotated[str, _doc("File of the certificate, to serve https without a proxy.")] = ""
    tls_key: Annotated[str, _doc("File of the certificate's key.")] = ""
    outage: Annotated[
        float, _doc("How long workers keep their tries while it has no database.", _SECONDS, ge=60, le=6 * 3600)
    ] = 600.0
    session: Annotated[float, _doc("How long a login lasts without being used.", _SECONDS, gt=0)] = 7 * 86400.0
    max_body: Annotated[int, _doc("Size of the largest request, but for runners' reports.", _BYTES, ge=1)] = 2 * 2**20
    public_metrics: Annotated[bool, _doc("Whether /metrics can be read without logging in.")] = False


class OidcSection(msgspec.Struct, frozen=True, kw_only=True):
    """Login with OpenID Connect. Users are made when they first log in."""

    issuer: Annotated[str, _doc("Address of the provider; empty = no such login.")] = ""
    client_id: Annotated[str, _doc("What the provider knows Airloom as.")] = ""
    client_secret: Annotated[str, _doc("The secret that goes with it.", _SECRET)] = ""
    name: Annotated[str, _doc("What the login page calls the provider.")] = "Single sign-on"
    scopes: Annotated[tuple[str, ...], _doc("What is asked for.", _LIST)] = ("openid", "profile", "email")
    username_claim: Annotated[str, _doc("The claim that new users are named by.")] = "preferred_username"
    role_claim: Annotated[str, _doc("The claim that lists a user's groups; dots go into objects.")] = "groups"
    viewers: Annotated[tuple[str, ...], _doc("Groups whose users are viewers.", _LIST)] = ()
    editors: Annotated[tuple[str, ...], _doc("Groups whose users are editors.", _LIST)] = ()
    operators: Annotated[tuple[str, ...], _doc("Groups whose users are operators.", _LIST)] = ()
    admins: Annotated[tuple[str, ...], _doc("Groups whose users are administrators.", _LIST)] = ()
    default_role: Annotated[
        Literal["none", "viewer", "editor", "operator", "admin"], _doc("The role of users in none of these groups.")
    ] = "none"


class OtelSection(msgspec.Struct, frozen=True, kw_only=True):
    """OpenTelemetry traces of runs and tries."""

    endpoint: Annotated[str, _doc("OTLP/HTTP address, such as http://localhost:4318; empty = no traces.")] = ""
    service: Annotated[str, _doc("The name of the service in the traces.")] = "airloom"


class CLI(msgspec.Struct, frozen=True, kw_only=True):
    """The command line."""

    timezone: Annotated[str, _doc("Time zone of the times shown; local = this machine's.", _TIMEZONE_OR_LOCAL)] = (
        "local"
    )


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, by section."""

    core: Core
    database: DatabaseSection
    local: Local
    runner: Runner
    celery: Celery
    worker: WorkerSection
    kubernetes: Kubernetes
    loader: Loader
    scheduler: Scheduler
    xcom: XComSection
    logs: Logs
    retention: Retention
    api: ApiSection
    oidc: OidcSection
    otel: OtelSection
    cli: CLI
    #: by name: those of the tables [bundles.NAME], and "dags" for [core] dags_folder
    bundles: dict[str, Bundle] = {}
