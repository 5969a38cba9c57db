"""The wheel and the sdist: whole, and usable in a clean environment."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from flagger_py import __version__

TOP = Path(__file__).parents[3]
LINKED = ("routers", "metrics")


def modules_of(package: str) -> set[str]:
    """The files of a package at the top of the tree, as they are named below `flagger_py/`."""
    return {f"flagger_py/{path.relative_to(TOP)}" for path in (TOP / package).rglob("*.py")}


@pytest.mark.parametrize("package", LINKED)
def test_the_wheel_has_the_linked_packages_inside(wheel: Path, package: str) -> None:
    assert modules_of(package) <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("package", LINKED)
def test_the_sdist_has_the_linked_packages_as_files(sdist: Path, package: str) -> None:
    with tarfile.open(sdist) as archive:
        files = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert modules_of(package) <= files


def test_the_wheel_has_type_information_entry_points_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/entry_points.txt"))
    assert "flagger_py/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(group in entry_points for group in ("[flagger_py.routers]", "[flagger_py.metrics]", "flagger = ", "flagger-py = "))


def test_a_clean_environment_runs_it(installed: Path, offline: dict[str, str]) -> None:
    def run(*arguments: str) -> str:
        command = [str(installed / "opt/flagger-py/bin/flagger-py"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=offline, timeout=30).stdout

    assert run("version").startswith(f"flagger-py {__version__} ")
    assert f"istio  (flagger-py {__version__})\n    weights" in run("routers")


def test_the_installed_package_is_the_one_from_the_wheel(installed: Path, offline: dict[str, str]) -> None:
    command = [str(installed / "opt/flagger-py/bin/python"), "-c", "import flagger_py; print(flagger_py.__file__)"]
    where = subprocess.run(command, check=True, cwd=installed, capture_output=True, text=True, env=offline, timeout=30).stdout
    assert Path(where).is_relative_to(installed)
