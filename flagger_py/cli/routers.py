"""`flagger-py routers`: every installed router, what its backend can do, where it comes from, and why one cannot be used."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import click

from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.objects.plugins import PluginError
from flagger_py.routers import registry


@dataclass(frozen=True, slots=True)
class Listed:
    """One router as it is listed; `problem` says why it cannot be used."""

    provider: str
    origin: str = ""
    capabilities: tuple[str, ...] = ()
    problem: str = ""


@click.command(name="routers")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print the list.")
def routers(output: str) -> None:
    """List the installed routers with their capabilities and origin.

    The name is what `spec.provider` of a Canary or the flag `-mesh-provider` takes. A router that cannot be loaded is listed with the
    reason.
    """
    listed = [_listed(provider) for provider in registry.names()]
    if output == "json":
        click.echo(json.dumps([_as_json(item) for item in listed], indent=2))
        return
    for item in listed:
        click.echo(f"{item.provider}  ({item.origin or 'origin unknown'})")
        click.echo(f"    cannot be used: {item.problem}" if item.problem else f"    {'; '.join(item.capabilities) or 'no traffic shaping'}")


def _listed(provider: str) -> Listed:
    try:
        origin = str(registry.origin(provider))
    except PluginError as error:
        return Listed(provider, problem=str(error))
    try:
        capabilities = registry.load(provider).capabilities(provider)
    except PluginError as error:
        return Listed(provider, origin, problem=str(error))
    except Exception as error:  # a stranger's class may raise anything; the others are listed all the same
        return Listed(provider, origin, problem=f"{type(error).__name__}: {error}")
    return Listed(provider, origin, tuple(describe(capabilities)))


def describe(capabilities: Capabilities) -> Iterator[str]:
    """What a backend can do, in words; nothing is said of what it cannot."""
    if capabilities.weights:
        yield "weights"
    for name, kinds in (("header", capabilities.header_match), ("query parameter", capabilities.query_match)):
        if kinds:
            yield f"{name} match ({', '.join(kind for kind in MatchKind if kind in kinds)})"
    if capabilities.source_label_match:
        yield "source label match"
    mirroring = {
        "with weights": capabilities.mirror_weighted,
        "with iterations": capabilities.mirror_iterations,
        "a percentage": capabilities.mirror_percent,
    }
    if any(mirroring.values()):
        yield f"mirroring ({', '.join(name for name, able in mirroring.items() if able)})"
    if capabilities.session_affinity:
        yield "session affinity" + (" (primary cookie too)" if capabilities.primary_cookie else "")


def _as_json(item: Listed) -> dict[str, object]:
    return {"provider": item.provider, "origin": item.origin, "capabilities": list(item.capabilities), "problem": item.problem}
