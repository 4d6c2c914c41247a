"""The tables of bundles in the settings: what they may say, what a wrong one is told, and what is never shown."""

import json
from pathlib import Path

import msgspec
import pytest

from airloom.bundles.definitions import shown
from airloom.model.bundles import GitBundle, LocalBundle
from airloom.model.errors import SettingsError
from airloom.settings import Loaded, describe, load, with_dags_folder


def loaded(home: Path, toml: str, **variables: str) -> Loaded:
    home.mkdir(exist_ok=True)
    (home / "airloom.toml").write_text(toml)
    return load({"AIRLOOM_HOME": str(home), **variables}, home)


def git(**values: str) -> str:
    return "[bundles.flows]\nkind = 'git'\n" + "".join(f"{key} = {value!r}\n" for key, value in values.items())


def test_without_tables_there_is_the_folder_of_dag_files(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").settings.bundles == {"dags": LocalBundle(path=str(tmp_path / "dags"))}


def test_tables_take_the_place_of_the_folder_unless_it_is_set(tmp_path: Path) -> None:
    toml = "[bundles.own]\nkind = 'local'\npath = 'flows'\n"
    own = LocalBundle(path=str(tmp_path / "flows"))
    assert loaded(tmp_path, toml).settings.bundles == {"own": own}
    both = loaded(tmp_path, toml + "[core]\ndags_folder = '/d'\n").settings.bundles
    assert both == {"own": own, "dags": LocalBundle(path="/d")}
    assert loaded(tmp_path, toml, AIRLOOM__CORE__DAGS_FOLDER="/d").settings.bundles == both
    assert with_dags_folder(loaded(tmp_path, toml), Path("/d")).settings.bundles == both


def test_a_repository_with_all_that_it_may_say(tmp_path: Path) -> None:
    toml = git(url="https://bot@git.example/t/f.git", ref="v1", subfolder="a/b/", refresh="5m", token_file="token")
    assert loaded(tmp_path, toml).settings.bundles["flows"] == GitBundle(
        url="https://bot@git.example/t/f.git",
        ref="v1",
        subfolder="a/b",
        refresh=300.0,
        token_file=str(tmp_path / "token"),
    )
    toml = git(url="git@git.example:t/f.git", ssh_key_file="~/key", known_hosts_file="/known")
    assert loaded(tmp_path, toml).settings.bundles["flows"] == GitBundle(
        url="git@git.example:t/f.git", ssh_key_file=str(Path("~/key").expanduser()), known_hosts_file="/known"
    )


def test_the_environment_gives_all_bundles_as_json(tmp_path: Path) -> None:
    text = json.dumps({"flows": {"kind": "git", "url": "file:///srv/flows", "refresh": 5}})
    settings = loaded(tmp_path, "[bundles.own]\nkind='local'\npath='x'\n", AIRLOOM__BUNDLES=text).settings
    assert settings.bundles == {"flows": GitBundle(url="file:///srv/flows", refresh=5.0)}


def test_the_list_of_settings_shows_them_with_their_origin_and_without_names_of_users(tmp_path: Path) -> None:
    toml = git(url="https://ghp_abc123@git.example/f.git", token_file="/token")
    (info,) = [info for info in describe(loaded(tmp_path, toml)) if info.section == "bundles"]
    assert (info.key, info.origin) == ("flows", str(tmp_path / "airloom.toml"))
    assert info.value["url"] == "https://***@git.example/f.git"
    assert b"ghp_abc123" not in msgspec.json.encode(info)
    assert shown(GitBundle(url="git@git.example:t/f.git"))["url"] == "git@git.example:t/f.git"


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("bundles = 3\n", "bundles are tables by name"),
        ("[bundles]\nflows = 3\n", "[bundles.flows]: expected a table"),
        ("[bundles.flows]\npath = 'x'\n", "[bundles.flows]: kind is missing; expected one of local, git."),
        ("[bundles.flows]\nkind = 'svn'\n", "kind is 'svn'; expected one of local, git."),
        ("[bundles.flows]\nkind = 'local'\n", "path is missing"),
        ("[bundles.flows]\nkind = 'local'\npath = 3\n", "path is to be a text."),
        ("[bundles.flows]\nkind = 'local'\npaths = 'x'\n", "has no setting paths; did you mean path?"),
        ("[bundles.'../x']\nkind = 'local'\npath = 'x'\n", "a bundle's name is made of letters"),
        ("[bundles.file]\nkind = 'local'\npath = 'x'\n", "the name 'file' is Airloom's own"),
        ("[bundles.dags]\nkind='local'\npath='x'\n[core]\ndags_folder='y'\n", "leave one of them out"),
        (git(), "url is missing"),
        (git(url="/srv/flows"), "url cannot be read; expected an address such as"),
        (git(url="flows"), "url cannot be read"),
        (git(url="ext::sh -c true"), "url cannot be read"),
        (git(url="ext::true"), "url cannot be read"),
        (git(url="--upload-pack=true"), "url cannot be read"),
        (git(url="ftp://git.example/f"), "begins with ftp://, which is not one of https, http, ssh, git, file"),
        (git(url="https:///f"), "names no host"),
        (git(url="ssh://-oProxyCommand=x/f"), "names no host"),
        (git(url="https://git.example:port/f"), "url cannot be read"),
        (git(url="https://me:hunter2@git.example/f"), "has a password or token in it"),
        (git(url="https://hunter2@git.example/f"), "has a password or token in it"),
        (git(url="file:///f", ref="--all"), "ref is '--all'"),
        (git(url="file:///f", ref="a..b"), "ref is 'a..b'"),
        (git(url="file:///f", ref="+x:y"), "ref is '+x:y'"),
        (git(url="file:///f", subfolder="../x"), "subfolder is '../x'"),
        (git(url="file:///f", subfolder="/x"), "subfolder is '/x'"),
        (git(url="file:///f", refresh="soon"), "refresh is 'soon'; expected at least 1 s"),
        (git(url="file:///f", refresh="0"), "refresh is '0'"),
        (git(url="git@git.example:f", token_file="x"), "for ssh there is ssh_key_file"),
        (git(url="https://git.example/f", ssh_key_file="x"), "for https there is token_file"),
        (git(url="file:///f", branch="x"), "has no setting branch; there are url, ref"),
    ],
)
def test_a_wrong_bundle_is_named_with_what_was_expected(tmp_path: Path, toml: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, toml)
    assert told in str(caught.value)
    assert str(tmp_path / "airloom.toml") in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_what_is_no_json_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AIRLOOM__BUNDLES is not valid JSON"):
        loaded(tmp_path, "", AIRLOOM__BUNDLES="{flows")
