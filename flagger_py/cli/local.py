"""`flagger-py local`: the embedded cluster until it is stopped."""

import asyncio
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from flagger_py.controller import log, rbac
from flagger_py.local.cluster import LocalCluster, LocalSettings, local_cluster
from flagger_py.local.envoy.process import EnvoyUnavailable
from flagger_py.local.samples import HOST, PROVIDERS, Sample, objects
from flagger_py.local.traffic import LoadGenerator, TrafficSettings
from flagger_py.objects.resource import Manifest
from flagger_py.routers import registry

ACCOUNT = rbac.Account("flagger", "flagger-system")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    provider: str
    sample: bool
    rate: float
    port: int
    api_port: int
    prometheus_port: int


@click.command(name="local")
@click.option("--provider", type=click.Choice(PROVIDERS), default="gatewayapi:v1", show_default=True, help="Whose objects the sample uses.")
@click.option("--sample/--no-sample", default=True, show_default=True, help="Deploy a sample app with its Canary.")
@click.option("--rate", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Requests per second to the sample; 0: none.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where the gateway listens. Default: any free port.")
@click.option("--api-port", type=click.IntRange(0, 65535), default=0, help="Where the API server listens. Default: any free port.")
@click.option("--prometheus-port", type=click.IntRange(0, 65535), default=0, help="Where PromQL is answered. Default: any free port.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep kubeconfigs and Envoy's files there. Default: a temporary folder.",
)
def local(provider: str, sample: bool, rate: float, port: int, api_port: int, prometheus_port: int, data_dir: Path | None) -> None:
    """Run the embedded cluster until stopped, and print its kubeconfig."""
    options = Options(provider, sample, rate, port, api_port, prometheus_port)
    log.configure("warning", "auto")
    try:
        with _folder(data_dir) as folder:
            asyncio.run(_run(options, folder))
    except (OSError, EnvoyUnavailable) as error:
        raise _failed(error) from error
    except ExceptionGroup as group:
        expected, others = group.split((OSError, EnvoyUnavailable))
        if others or expected is None:
            raise
        raise _failed(expected) from group


def _failed(error: Exception) -> click.ClickException:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return click.ClickException(f"cannot start the embedded cluster: {error}")


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="flagger-local-") as name:
            yield Path(name)
    else:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()


async def _run(options: Options, folder: Path) -> None:
    settings = LocalSettings(folder, options.port, options.api_port, options.prometheus_port, manifests=tuple(controller_account()))
    async with local_cluster(settings) as cluster, asyncio.TaskGroup() as group:
        stopped = _stop_signal()
        if options.sample:
            await cluster.apply(objects(Sample(options.provider, cluster.prometheus_url)))
        await _explain(cluster, options)
        load = group.create_task(_load(cluster, options.rate), name="load") if options.sample and options.rate else None
        await stopped.wait()
        if load:
            load.cancel()


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def controller_account() -> Iterator[Manifest]:
    """The namespace, the ServiceAccount and the shipped roles of the controller."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACCOUNT.namespace}}
    metadata = {"name": ACCOUNT.name, "namespace": ACCOUNT.namespace}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    yield from rbac.manifests(rbac.Role("flagger", tuple(rbac.core_rights(config_tracking=True)), ""), ACCOUNT)
    yield from rbac.manifests(rbac.Role("flagger-routers", tuple(rbac.router_rights(registry.names())), ""), ACCOUNT)
    yield from rbac.manifests(rbac.Role("flagger-leader-election", tuple(rbac.lease_rights()), ACCOUNT.namespace), ACCOUNT)


async def _load(cluster: LocalCluster, rate: float) -> None:
    """Steady requests from the moment on at which a controller has made the route."""
    address = await cluster.address()
    await cluster.gateway.served(HOST)
    await LoadGenerator(TrafficSettings(f"http://{address}/", HOST, rate)).run()


async def _explain(cluster: LocalCluster, options: Options) -> None:
    account = await cluster.service_account_kubeconfig(ACCOUNT.namespace, ACCOUNT.name)
    click.echo(f"API server   {cluster.api_url}")
    click.echo(f"kubeconfig   {cluster.kubeconfig}")
    click.echo(f"Prometheus   {cluster.prometheus_url}")
    if options.sample:
        address = await cluster.address()
        click.echo(f"gateway      http://{address}")
        click.echo(f"\n  curl -H 'Host: {HOST}' http://{address}/")
    click.echo(f"\n  export KUBECONFIG={cluster.kubeconfig}")
    click.echo("  kubectl get canaries,deployments,pods --all-namespaces")
    click.echo(
        f"  flagger-py controller -kubeconfig {account} -metrics-server {cluster.prometheus_url}"
        f" -mesh-provider {options.provider} -minimum-interval 2s -enable-leader-election=false"
    )
    if options.sample:
        click.echo("  kubectl -n demo set image deployment/web web=registry.example.com/web:2")
    click.echo("\nCtrl-C stops it.")
