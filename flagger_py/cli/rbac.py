"""`flagger-py rbac`: the roles for this installation, plug-ins included. `deploy/kustomize` holds its output."""

import click
import yaml

from flagger_py.controller import rbac as rights
from flagger_py.objects.plugins import PluginError
from flagger_py.routers import registry


@click.command(name="rbac")
@click.option(
    "--part", type=click.Choice(["all", "core", "routers", "lease"]), default="all", show_default=True, help="Which roles to print."
)
@click.option(
    "--provider", "providers", multiple=True, metavar="NAME", help="Routers to allow; repeat for several. Default: all installed."
)
@click.option("--namespace", default="", help="For `-namespace`: a Role for this one namespace instead of ClusterRoles.")
@click.option("--no-config-tracking", is_flag=True, help="For `-enable-config-tracking=false`: no right to list Secrets and ConfigMaps.")
@click.option("--account", default="flagger", show_default=True, help="Name of the service account.")
@click.option("--account-namespace", default="flagger-system", show_default=True, help="Its namespace, and that of the Lease.")
def rbac(part: str, providers: tuple[str, ...], namespace: str, no_config_tracking: bool, account: str, account_namespace: str) -> None:
    """Print the RBAC roles that the controller needs.

    They are made from what the installed routers and target kinds declare, so a plug-in's own kinds are in them.
    """
    try:
        allowed = {
            "core": rights.Role("flagger", tuple(rights.core_rights(config_tracking=not no_config_tracking)), namespace),
            "routers": rights.Role("flagger-routers", tuple(rights.router_rights(providers or registry.names())), namespace),
            "lease": rights.Role("flagger-leader-election", tuple(rights.lease_rights()), namespace or account_namespace),
        }
    except PluginError as error:
        raise click.ClickException(str(error)) from error
    roles = [role for name, role in allowed.items() if part in ("all", name) and role.rights]
    manifests = [manifest for role in roles for manifest in rights.manifests(role, rights.Account(account, account_namespace))]
    click.echo(yaml.dump_all(manifests, Dumper=_PlainDumper, sort_keys=False), nl=False)


class _PlainDumper(yaml.SafeDumper):
    """Writes no anchors: kustomize takes them, but people trip over them."""

    def ignore_aliases(self, data: object) -> bool:
        return True
