"""Plug-ins are found by name, checked when first used, and a bad one says where it comes from."""

import importlib
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from flagger_py.objects.plugins import BrokenPlugin, Origin, Plugins, UnknownPlugin

GROUP = "flagger_py.test_plugins"


class Animal(ABC):
    """The base that the plug-ins of these tests must have."""

    @abstractmethod
    def sound(self) -> str: ...


class Cow(Animal):
    """A plug-in that works."""

    def sound(self) -> str:
        return "moo"


class Ghost(Animal):
    """A plug-in that forgot a method."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder on the import path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "animals", sys.modules[__name__])
    return tmp_path


def install(site: Path, distribution: str, version: str, entry_points: dict[str, str]) -> None:
    """What pip leaves behind for a distribution with these entry points."""
    folder = site / f"{distribution}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    (folder / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    importlib.invalidate_caches()


def plugins() -> Plugins[Animal]:
    return Plugins(GROUP, Animal, "animal")  # type: ignore[type-abstract]  # as for routers


def test_a_plugin_is_loaded_by_its_name_and_knows_its_origin(site: Path) -> None:
    install(site, "farm", "1.2", {"cow": "animals:Cow"})
    found = plugins()
    assert found.names() == ("cow",)
    assert found.load("cow") is Cow
    assert found.origin("cow") == Origin("farm", "1.2")


def test_an_unknown_name_is_refused_with_the_known_ones(site: Path) -> None:
    install(site, "farm", "1.2", {"cow": "animals:Cow"})
    with pytest.raises(UnknownPlugin, match="unknown animal 'dog'; known are: cow"):
        plugins().load("dog")


def test_a_name_offered_twice_is_refused_with_both_origins(site: Path) -> None:
    install(site, "farm", "1.2", {"cow": "animals:Cow"})
    install(site, "zoo", "3", {"cow": "animals:Cow", "calf": "animals:Cow"})
    with pytest.raises(BrokenPlugin, match=r"'cow' is offered by farm 1\.2 and zoo 3"):
        plugins().load("cow")
    assert plugins().working() == ("calf",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("no_such_module:Cow", "cannot be imported: ModuleNotFoundError", id="module-missing"),
        pytest.param("exits:Cow", "cannot be imported: SystemExit", id="module-exits"),
        pytest.param("animals:GROUP", "is no subclass of Animal", id="not-a-class"),
        pytest.param("animals:Ghost", "does not define sound", id="abstract"),
    ],
)
def test_a_plugin_that_cannot_be_used_names_its_distribution_and_those_that_work(site: Path, value: str, reason: str) -> None:
    (site / "exits.py").write_text("raise SystemExit(1)\n")
    install(site, "farm", "1.2", {"bad": value, "cow": "animals:Cow"})
    with pytest.raises(BrokenPlugin, match=rf"animal 'bad' \({value} of farm 1\.2\) {reason}.*; these work: cow"):
        plugins().load("bad")
    assert plugins().load("cow") is Cow
