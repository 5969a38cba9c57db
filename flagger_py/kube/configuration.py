"""`kubernetes_asyncio.config` without the rest of its distribution.

Its package imports 1,600 modules of generated API classes: 35 MiB and 0.4 s of CPU for code that we never call (measured). The
configuration needs four small modules, so they are imported into packages that are left bare. Afterwards `sys.modules` is as it
was before: whoever imports the whole library, as a plug-in may, gets the whole library.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

_LIBRARY: Final = "kubernetes_asyncio"


class Configuration(NamedTuple):
    """What we use of the library."""

    configuration: Callable[[], Any]
    config_exception: type[Exception]
    load_kube_config: Callable[..., Any]
    load_incluster_config: Callable[..., Any]


@cache
def library() -> Configuration:
    """The library's own loading of configurations. Raises `ImportError` where it is not installed."""
    if f"{_LIBRARY}.config" in sys.modules:
        return _import()
    with _bare_packages():
        return _import()


def _import() -> Configuration:
    config = import_module(f"{_LIBRARY}.config")
    client = sys.modules[f"{_LIBRARY}.client"]
    return Configuration(client.Configuration, config.ConfigException, config.load_kube_config, config.load_incluster_config)


@contextmanager
def _bare_packages() -> Iterator[None]:
    """While it lasts, the library's top package and its `client` hold only what the configuration needs."""
    spec = find_spec(_LIBRARY)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{_LIBRARY} is not installed", name=_LIBRARY)
    folder = Path(spec.submodule_search_locations[0])
    try:
        _add_bare_package(_LIBRARY, folder)
        client = _add_bare_package(f"{_LIBRARY}.client", folder / "client")
        client.__dict__["Configuration"] = import_module(f"{_LIBRARY}.client.configuration").Configuration
        client.__dict__["ApiClient"] = object  # named in signatures of functions that we do not call
        yield
    finally:
        for name in [name for name in sys.modules if name == _LIBRARY or name.startswith(f"{_LIBRARY}.")]:
            del sys.modules[name]


def _add_bare_package(name: str, folder: Path) -> ModuleType:
    """A package whose `__init__.py` is not run."""
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    return package
