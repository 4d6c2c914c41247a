"""Who may do what: roles, grants on dags, and the identity of somebody who has logged in."""

from enum import IntEnum
from fnmatch import fnmatchcase

import msgspec


class Role(IntEnum):
    """Each role may do what those before it may, and more."""

    VIEWER = 1  # sees everything but secrets, users and the audit log
    EDITOR = 2  # triggers, clears, marks, pauses, cancels, writes notes
    OPERATOR = 3  # pools, variables, connections, deleting dags
    ADMIN = 4  # users, tokens of others, the audit log

    @property
    def label(self) -> str:
        """Its name as users know it."""
        return self.name.lower()


def role_named(name: str) -> Role:
    """The role of that name. Raises KeyError."""
    return Role[name.upper()]


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A role on the dags whose id matches `pattern`, in which * stands for any text."""

    pattern: str
    role: Role

    def covers(self, dag_id: str) -> bool:
        """Whether the grant is about that dag."""
        return matches(self.pattern, dag_id)


def matches(pattern: str, dag_id: str) -> bool:
    """Whether a dag id matches a pattern; only * is special."""
    return fnmatchcase(dag_id, pattern.replace("[", "[[]").replace("?", "[?]"))


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has proved who they are.

    role: on every dag and on what belongs to no dag; None: only what the grants give. dags: patterns beyond which the
    credential is good for nothing (a narrowed token); None: all. `ceiling` narrows every role in the same way.
    credential: its id, and the kind of it: session or token.
    """

    username: str
    display_name: str = ""
    role: Role | None = None
    grants: tuple[Grant, ...] = ()
    ceiling: Role | None = None
    dags: tuple[str, ...] | None = None
    kind: str = "session"
    credential: str = ""
    expires_at: float | None = None

    @property
    def everywhere(self) -> Role | None:
        """The role on what belongs to no dag, and on all dags. None for who sees some dags only."""
        return None if self.dags is not None else self._capped(self.role)

    def role_on(self, dag_id: str) -> Role | None:
        """The role on one dag: the highest of the own one and the grants', or None."""
        if self.dags is not None and not any(matches(pattern, dag_id) for pattern in self.dags):
            return None
        roles = [grant.role for grant in self.grants if grant.covers(dag_id)]
        if self.role is not None:
            roles.append(self.role)
        return self._capped(max(roles, default=None))

    @property
    def highest(self) -> Role | None:
        """The highest role on anything."""
        roles = [grant.role for grant in self.grants]
        if self.role is not None:
            roles.append(self.role)
        return self._capped(max(roles, default=None))

    def _capped(self, role: Role | None) -> Role | None:
        return role if role is None or self.ceiling is None else min(role, self.ceiling)
