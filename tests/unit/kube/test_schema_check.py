"""What is read of the server at start."""

from typing import Any

import orjson
import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.schema_check import OLDEST_SUPPORTED, CanarySchema, ServerVersion, read_canary_schema, read_server_version
from flagger_py.kube.transport import Request, Response
from flagger_py.objects.errors import ServerError
from tests.unit.kube.scripted import NOT_SERVED, ScriptedServer

KIND = {"group": "flagger.app", "version": "v1beta1", "kind": "Canary"}


class Document(ScriptedServer):
    """Answers one path."""

    def __init__(self, path: str, content: Any) -> None:
        super().__init__()
        self._path = path
        self._content = content

    async def request(self, request: Request) -> Response:
        return Response(200, orjson.dumps(self._content)) if request.path == self._path else NOT_SERVED


def openapi(status: dict[str, Any], kind: dict[str, str] = KIND) -> dict[str, Any]:
    schema = {"x-kubernetes-group-version-kind": [kind], "properties": {"status": status}}
    return {"components": {"schemas": {"app.flagger.v1beta1.CanaryList": {}, "app.flagger.v1beta1.Canary": schema}}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(openapi({"properties": {"rollout": {"type": "object"}}}), CanarySchema.KEEPS_ROLLOUT, id="ours"),
        pytest.param(openapi({"properties": {"phase": {}}}), CanarySchema.PRUNES_ROLLOUT, id="Flagger's"),
        pytest.param(openapi({"x-kubernetes-preserve-unknown-fields": True}), CanarySchema.KEEPS_ROLLOUT, id="nothing is pruned"),
        pytest.param(openapi({}, {**KIND, "kind": "MetricTemplate"}), CanarySchema.MISSING, id="the group without Canary"),
        pytest.param({}, CanarySchema.MISSING, id="empty"),
    ],
)
async def test_the_published_schema_tells_whether_our_status_is_kept(document: dict[str, Any], expected: CanarySchema) -> None:
    client = Client(Document("/openapi/v3/apis/flagger.app/v1beta1", document))
    assert await read_canary_schema(client) is expected


async def test_a_group_that_is_not_served_means_that_nothing_is_installed() -> None:
    assert await read_canary_schema(Client(Document("/version", {}))) is CanarySchema.MISSING


@pytest.mark.parametrize(("minor", "supported"), [("29", False), ("30", True), ("30+", True), ("36", True)])
async def test_the_servers_version_is_compared_as_numbers(minor: str, supported: bool) -> None:
    version = await read_server_version(Client(Document("/version", {"major": "1", "minor": minor})))
    assert (version >= OLDEST_SUPPORTED) is supported
    assert version.major == 1


async def test_a_version_that_is_none_is_an_error_that_shows_it() -> None:
    with pytest.raises(ServerError, match="'one'"):
        await read_server_version(Client(Document("/version", {"major": "one", "minor": ""})))


def test_a_version_reads_as_people_write_it() -> None:
    assert str(ServerVersion(1, 30)) == "1.30"
