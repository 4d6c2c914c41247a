"""Repositories of DAG files for tests, made with git itself."""

import os
import subprocess
from pathlib import Path

_ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


class Remote:
    """A repository with a branch main, that others fetch from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """What git says."""
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(
            command, env=_ENVIRONMENT, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def commit(self, **files: str | None) -> str:
        """Write files, named with __ for / and without .py, and commit them; None removes one. Gives the commit."""
        for name, text in files.items():
            path = self.folder / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        return self.commit_all()

    def commit_all(self) -> str:
        """Commit what there is."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=change")
        return self.git("rev-parse", "HEAD")
