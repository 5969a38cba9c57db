"""`flagger-py canary VERB NAME`: a manual command to one rollout, and what became of it."""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from flagger_py.api.commands import Verb
from flagger_py.cli.manual_command import Answer, NotAcknowledged, NotSent, Order, give
from flagger_py.kube.client import Client
from flagger_py.kube.contexts import namespace_of_context
from flagger_py.kube.session import ConfigError, open_transport
from flagger_py.objects.errors import ApiError
from flagger_py.objects.resource import CANARY, Ref

REFUSED: Final = 1
UNACKNOWLEDGED: Final = 3
_HELP: Final[Mapping[Verb, tuple[str, str]]] = {
    Verb.PROMOTE: ("Promote the new version now.", "The rest of its analysis is left out; its pods have to be ready."),
    Verb.ABORT: ("Roll back.", "All traffic goes to the primary, the Canary fails."),
    Verb.PAUSE: ("Stay at this step.", "Checks go on, and a bad version is still rolled back."),
    Verb.RESUME: ("Go on after a pause.", ""),
    Verb.RETRY: ("Run a failed version once more.", "It takes the same way as a new version, gates included."),
    Verb.SKIP: ("Go to the next step now.", "Whatever hook, check or gate it waits for; its pods have to be ready."),
    Verb.RESTART: ("Run the version again from its first step.", ""),
}
"""In a line, and what else has to be known."""


@click.group(name="canary")
def canary() -> None:
    """Promote, abort, pause, resume, retry, skip or restart a rollout by hand.

    It writes the annotation flagger.app/command, as kubectl annotate would, and waits for the controller's answer. A command is obeyed
    for the run under way at this moment and no other. Exit code 1: refused; 3: no answer.
    """


@dataclass(frozen=True, slots=True)
class Connection:
    """What the command line says about the cluster."""

    kubeconfig: str
    context: str | None
    seconds: float


def _command(verb: Verb) -> click.Command:
    short, more = _HELP[verb]

    @click.command(name=verb.value, short_help=short, help=f"{short}\n\n{more}".strip())
    @click.argument("name")
    @click.option("--namespace", "-n", default="", help="The Canary's namespace. Default: that of the kubeconfig's context.")
    @click.option("--run", default="", help="The run that is meant. Default: the one under way.")
    @click.option("--kubeconfig", default="", help="Default: $KUBECONFIG or ~/.kube/config.")
    @click.option("--context", default=None, help="Default: the current one.")
    @click.option("--timeout", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for the answer.")
    def command(name: str, namespace: str, run: str, **connection: Any) -> None:
        reached = Connection(connection["kubeconfig"], connection["context"], connection["timeout"])
        ref = Ref(CANARY, namespace or namespace_of_context(reached.kubeconfig, reached.context), name)
        _report(ref, verb, _carried_out(lambda: _give(Order(ref, verb, run, str(uuid.uuid4())), reached)))

    return command


for _verb in Verb:
    canary.add_command(_command(_verb))


async def _give(order: Order, connection: Connection) -> Answer:
    async with open_transport(connection.kubeconfig, context=connection.context) as transport:
        return await give(Client(transport), order, connection.seconds)


def _carried_out(give_order: Callable[[], Any]) -> Answer:
    try:
        answer: Answer = asyncio.run(give_order())
    except (ConfigError, NotSent) as error:
        raise click.ClickException(str(error)) from error
    except ApiError as error:
        raise click.ClickException(error.message) from error
    except NotAcknowledged as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(UNACKNOWLEDGED) from error
    return answer


def _report(ref: Ref, verb: Verb, answer: Answer) -> None:
    if not answer.is_done:
        click.echo(f"{ref}: {verb} {answer.result}", err=True)
        raise SystemExit(REFUSED)
    click.echo(f"{ref}: {verb} {answer.result}; {answer.standing}")
