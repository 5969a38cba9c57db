"""All route objects of the cluster as one route table. Pure."""

from flagger_py.local.envoy import gatewayapi, httpproxy, istio
from flagger_py.local.envoy.model import RouteTable, merge_hosts
from flagger_py.local.envoy.translation import RoutingObjects, Translation


def translate(objects: RoutingObjects) -> Translation:
    """The parts of all kinds together."""
    parts = [gatewayapi.translate(objects), httpproxy.translate(objects), istio.translate(objects)]
    return Translation(
        tuple(sorted({port for part in parts for port in part.ports})),
        merge_hosts(tuple(host for part in parts for host in part.hosts)),
        tuple(status for part in parts for status in part.statuses),
        tuple(problem for part in parts for problem in part.problems),
    )


def route_table(translation: Translation) -> RouteTable:
    """What Envoy is to serve."""
    return RouteTable(translation.ports, translation.hosts)
