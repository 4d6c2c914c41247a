"""The wheel holds everything that the package needs: code, migrations, the marker of its types, the license."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("airloom-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    ours = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and ".dist-info" not in str(path)
    }
    assert ours - names == set()
    assert {"airloom/py.typed", "airloom/cli/main.py"} <= names
    assert any("/migrations/" in name and name.endswith(".py") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
