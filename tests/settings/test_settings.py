"""Settings: sources and their order, types, and what a wrong one is told."""

from pathlib import Path

import pytest

from airloom.model.errors import SettingsError
from airloom.settings import Loaded, describe, load, mask_url


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "airloom.toml"
    file.write_text(text)
    return file


def refused(env: dict[str, str], cwd: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load(env, cwd)
    return str(caught.value)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def env_of(home: Path, **variables: str) -> dict[str, str]:
    return {"AIRLOOM_HOME": str(home), **variables}


def shown(loaded: Loaded) -> dict[str, object]:
    return {f"{info.section}.{info.key}": info.value for info in describe(loaded)}


def test_without_any_source_everything_has_its_default(home: Path, tmp_path: Path) -> None:
    loaded = load(env_of(home), tmp_path)
    assert loaded.settings.core.dags_folder == home / "dags"
    assert loaded.settings.database.url == f"sqlite:///{home}/airloom.db"
    assert loaded.settings.core.executors == ("local",)
    assert loaded.settings.local.parallelism >= 1
    origins = dict(loaded.origins)
    assert origins.pop("core.home") == "AIRLOOM_HOME"
    assert set(origins.values()) == {"default"}


def test_the_file_wins_over_the_default_and_the_environment_over_the_file(home: Path, tmp_path: Path) -> None:
    file = write(home, "[core]\nparallelism = 4\ninfrastructure_retries = 9\n")
    loaded = load(env_of(home, AIRLOOM__CORE__PARALLELISM="8"), tmp_path)
    assert (loaded.settings.core.parallelism, loaded.origins["core.parallelism"]) == (8, "AIRLOOM__CORE__PARALLELISM")
    assert (loaded.settings.core.infrastructure_retries, loaded.origins["core.infrastructure_retries"]) == (
        9,
        str(file),
    )


def test_a_file_in_the_working_folder_counts_when_no_home_is_named(tmp_path: Path) -> None:
    write(tmp_path, '[core]\ndags_folder = "flows"\n')
    assert load({"HOME": str(tmp_path)}, tmp_path).settings.core.dags_folder == tmp_path / "flows"


def test_a_file_in_the_working_folder_is_ignored_when_a_home_is_named(home: Path, tmp_path: Path) -> None:
    write(tmp_path, "[core]\nparallelism = 4\n")
    assert load(env_of(home), tmp_path).settings.core.parallelism == 0


def test_relative_paths_start_from_where_they_are_written(home: Path, tmp_path: Path) -> None:
    write(home, '[core]\ndags_folder = "d"\n')
    assert load(env_of(home), tmp_path).settings.core.dags_folder == home / "d"
    assert load(env_of(home, AIRLOOM__CORE__DAGS_FOLDER="e"), tmp_path).settings.core.dags_folder == tmp_path / "e"


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("LOCAL__GRACE", "5m", 300.0),
        ("LOCAL__GRACE", "1.5", 1.5),
        ("LOCAL__MEMORY_LIMIT", "2GiB", 2 * 2**30),
        ("CORE__DAGS_ARE_PAUSED_AT_CREATION", "false", False),
        ("CORE__EXECUTORS", "SequentialExecutor, local", ["sequential", "local"]),
        ("LOCAL__ISOLATION", "reuse", "reuse"),
        ("CLI__TIMEZONE", "Asia/Tokyo", "Asia/Tokyo"),
    ],
)
def test_text_from_the_environment_becomes_the_settings_type(
    home: Path, tmp_path: Path, variable: str, text: str, value: object
) -> None:
    loaded = load(env_of(home, **{f"AIRLOOM__{variable}": text}), tmp_path)
    assert shown(loaded)[variable.lower().replace("__", ".")] == value


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[core]\nparalelism = 3\n", ["airloom.toml", "[core]", "paralelism", "did you mean parallelism?"]),
        ("[cores]\nparallelism = 3\n", ["airloom.toml", "[cores]", "did you mean core?"]),
        ("[core]\ngrace = 3\n", ["[core] has no setting grace", "There is [local] grace and [worker] grace"]),
        ("[core]\nparallelism = '3'\n", ["[core] parallelism is '3'", "a whole number of at least 0"]),
        ("[core]\nparallelism = -3\n", ["[core] parallelism is -3", "a whole number of at least 0"]),
        ("[core]\ndags_are_paused_at_creation = 1\n", ["true or false"]),
        ("[local]\nisolation = 'thread'\n", ["one of fork, reuse"]),
        ("[local]\ngrace = 'soon'\n", ["'soon'", "a duration", '"10m"']),
        ("[local]\nmemory_limit = '3 potatoes'\n", ["a size"]),
        ("[loader]\ninterval = 0\n", ["above 0"]),
        ("[core]\nexecutors = ['Kubernets']\n", ["'Kubernets'", "local, sequential, celery and kubernetes"]),
        ("[kubernetes]\ndelete = 'sometimes'\n", ["one of always, on_success, never"]),
        ("[kubernetes]\nlease = 10\n", ["a duration of at least 60"]),
        ("[kubernetes]\nclusters = 'eu'\n", ["[kubernetes] clusters is 'eu'", "a table"]),
        ("[core]\nexecutors = ['locl']\n", ["'locl'", "did you mean local?"]),
        ("[core]\nexecutors = []\n", ["at least one"]),
        ("[core]\nexecutors = 3\n", ["[core] executors is 3", "a list of texts"]),
        ("[cli]\ntimezone = 'Europe/Pari'\n", ["did you mean Europe/Paris?"]),
        ("[cli]\ntimezone = 'Mars'\n", ["expected a time zone"]),
        ("[core]\ndags_folder = 3\n", ["a path"]),
        ("[core]\nhome = '/x'\n", ["AIRLOOM_HOME"]),
        ("core = 3\n", ["write it as a table"]),
        ("[core\n", ["airloom.toml", "not valid TOML", "line 1"]),
    ],
)
def test_a_wrong_setting_in_the_file_is_named_with_what_was_expected(
    home: Path, tmp_path: Path, toml: str, parts: list[str]
) -> None:
    write(home, toml)
    message = refused(env_of(home), tmp_path)
    for part in parts:
        assert part in message


def test_a_wrong_variable_is_named_with_the_nearest_right_one(home: Path, tmp_path: Path) -> None:
    message = refused(env_of(home, AIRLOOM__CORE__PARALELISM="1"), tmp_path)
    assert "AIRLOOM__CORE__PARALELISM" in message
    assert "did you mean AIRLOOM__CORE__PARALLELISM?" in message


def test_a_duration_that_is_no_number_is_refused(home: Path, tmp_path: Path) -> None:
    write(home, "[local]\ngrace = inf\n")
    assert "a duration" in refused(env_of(home), tmp_path)


def test_secrets_are_not_shown(home: Path, tmp_path: Path) -> None:
    loaded = load(
        env_of(
            home,
            AIRLOOM__CORE__SECRET_KEY="hunter2",
            AIRLOOM__DATABASE__URL="postgresql://me:hunter2@localhost/airloom",
        ),
        tmp_path,
    )
    assert loaded.settings.core.secret_key == "hunter2"
    assert shown(loaded)["core.secret_key"] == "***"
    assert shown(loaded)["database.url"] == "postgresql://me:***@localhost/airloom"
    assert "hunter2" not in str(shown(loaded))


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("sentinel://:one@a:1;sentinel://:two@b:2/0", "sentinel://:***@a:1;sentinel://:***@b:2/0"),
        ("amqp://me:o;ne@a//;amqps://me:two@b//", "amqp://me:***@a//;amqps://me:***@b//"),
        ("postgresql://me:o/n?e@db/airloom", "postgresql://me:***@db/airloom"),
        ("postgresql://me:o@ne@db/airloom", "postgresql://me:***@db/airloom"),
        ("postgresql://db/x?user=me&password=one&sslmode=require", "postgresql://db/x?user=me&password=***&sslmode=require"),
        ("me:one@db/airloom", "me:***@db/airloom"),
        ("redis://me:one@[db", "redis://me:***@[db"),
        ("postgresql://me@db:5432/airloom", "postgresql://me@db:5432/airloom"),
        ("sqlite:////srv/a:b@c/airloom.db", "sqlite:////srv/a:b@c/airloom.db"),
    ],
)  # fmt: skip
def test_no_password_in_an_address_is_shown(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_a_secret_of_the_wrong_type_is_not_shown_either(home: Path, tmp_path: Path) -> None:
    write(home, "[core]\nsecret_key = 123456\n")
    message = refused(env_of(home), tmp_path)
    assert "secret_key is ***" in message
    assert "123456" not in message


def test_every_setting_has_a_line_of_documentation(home: Path, tmp_path: Path) -> None:
    for info in describe(load(env_of(home), tmp_path)):
        assert info.doc.endswith("."), f"[{info.section}] {info.key}"


def test_a_variable_with_file_at_its_end_names_the_file_of_the_value(home: Path, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("\n postgresql://me:hunter2@db/airloom \n")
    (tmp_path / "slots").write_text("3\n")
    env = env_of(home, AIRLOOM__DATABASE__URL_FILE="url", AIRLOOM__LOCAL__PARALLELISM_FILE=str(tmp_path / "slots"))
    loaded = load(env, tmp_path)
    assert loaded.settings.database.url == "postgresql://me:hunter2@db/airloom"
    assert loaded.settings.local.parallelism == 3
    assert loaded.origins["database.url"] == "AIRLOOM__DATABASE__URL_FILE"
    assert shown(loaded)["database.url"] == "postgresql://me:***@db/airloom"


def test_the_file_of_a_variable_wins_over_the_settings_file(home: Path, tmp_path: Path) -> None:
    write(home, '[core]\nsecret_key = "old"\n')
    (tmp_path / "key").write_text("new")
    loaded = load(env_of(home, AIRLOOM__CORE__SECRET_KEY_FILE="key"), tmp_path)
    assert loaded.settings.core.secret_key == "new"
    assert shown(loaded)["core.secret_key"] == "***"


def test_a_setting_whose_own_name_ends_in_file_is_not_read_from_one(home: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("alm_x_y")
    (tmp_path / "where").write_text("token")
    loaded = load(env_of(home, AIRLOOM__WORKER__TOKEN_FILE="token"), tmp_path)
    assert loaded.settings.worker.token_file == "token"
    loaded = load(env_of(home, AIRLOOM__WORKER__TOKEN_FILE_FILE="where"), tmp_path)
    assert loaded.settings.worker.token_file == "token"


def test_a_value_and_a_file_for_the_same_setting_are_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    env = env_of(home, AIRLOOM__CORE__SECRET_KEY="hunter3", AIRLOOM__CORE__SECRET_KEY_FILE="key")
    message = refused(env, tmp_path)
    assert "AIRLOOM__CORE__SECRET_KEY and AIRLOOM__CORE__SECRET_KEY_FILE are both given" in message
    assert "hunter" not in message


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("gone", "gone cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
        ("", "is empty"),
        ("binary", "it is not UTF-8"),
        ("~nobody-of-that-name/x", "cannot be read"),
    ],
)
def test_a_file_of_a_value_that_cannot_be_read_is_named(home: Path, tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    message = refused(env_of(home, AIRLOOM__DATABASE__URL_FILE=path), tmp_path)
    assert message.startswith("AIRLOOM__DATABASE__URL_FILE")
    assert why in message


def test_a_wrong_value_in_a_file_is_told_with_the_variable(home: Path, tmp_path: Path) -> None:
    (tmp_path / "slots").write_text("many\n")
    message = refused(env_of(home, AIRLOOM__LOCAL__PARALLELISM_FILE="slots"), tmp_path)
    assert message.startswith(
        "AIRLOOM__LOCAL__PARALLELISM_FILE: [local] parallelism is 'many'; expected a whole number"
    )


def test_a_file_for_a_setting_that_there_is_not_is_refused(home: Path, tmp_path: Path) -> None:
    assert "names no setting" in refused(env_of(home, AIRLOOM__CORE__HOUSE_FILE="x"), tmp_path)
    assert "names no setting" in refused(env_of(home, AIRLOOM__NOWHERE__KEY_FILE="x"), tmp_path)


def test_bundles_can_be_given_by_a_file_as_well(home: Path, tmp_path: Path) -> None:
    (tmp_path / "bundles").write_text('{"flows": {"kind": "local", "path": "/srv/flows"}}')
    assert "flows" in load(env_of(home, AIRLOOM__BUNDLES_FILE="bundles"), tmp_path).settings.bundles
