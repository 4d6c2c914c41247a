"""Where DAG code comes from, as the settings say it: a folder of the machine, or a repository."""

import msgspec


class LocalBundle(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="local", forbid_unknown_fields=True):
    """A folder that is there on every machine: a disk, a mount, a part of an image."""

    path: str


class GitBundle(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="git", forbid_unknown_fields=True):
    """A repository. ref: a branch, a tag or a whole commit hash; empty: the branch that the repository names itself.
    subfolder: where its DAG files are. refresh: seconds between two looks at the repository.

    token_file holds a password or token for http, whose user the URL may name; ssh_key_file and known_hosts_file are
    for ssh.
    """

    url: str
    ref: str = ""
    subfolder: str = ""
    refresh: float = 60.0
    token_file: str = ""
    ssh_key_file: str = ""
    known_hosts_file: str = ""


Bundle = LocalBundle | GitBundle
