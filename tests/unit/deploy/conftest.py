"""Distributions of this tree and an installation of them, made once for all tests here. Nothing is fetched from a registry."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel made from it, as an installer does."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(TOP)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    return next(distributions.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def offline() -> dict[str, str]:
    """An environment in which what is installed beside the tests stands in for the dependencies of a fresh installation.

    Packages on PYTHONPATH are importable, but their `.pth` files are not read: this tree itself is not found that way.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": sysconfig.get_path("purelib"), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PYTHON": sys.executable}


@pytest.fixture(scope="session")
def installed(wheel: Path, offline: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `deploy/install.sh` fills."""
    folder = tmp_path_factory.mktemp("root")
    no_dependencies = folder / "requirements.txt"
    no_dependencies.touch()
    subprocess.run(
        [str(TOP / "deploy/install.sh"), str(wheel), str(folder)],
        check=True,
        capture_output=True,
        env=offline | {"REQUIREMENTS": str(no_dependencies), "PYTHONPATH": ""},
        timeout=120,
    )
    return folder
