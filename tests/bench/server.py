"""The embedded API server as a process of its own, filled with foreign objects, with an audit log in kube-apiserver's form.

Run by `cluster.embedded`; prints one line of JSON when it serves. It ends when its standard input is closed.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

import orjson

from flagger_py.local.apiserver import ApiServer
from flagger_py.local.apiserver.answers import Answer, Streaming
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.http import serve
from tests.bench.manifests import FOREIGN_NAMESPACE, foreign_objects, namespace
from tests.memory.cluster import crds


class AuditLogWriter:
    """Writes each request down as `audit.k8s.io/v1` does at level Metadata. The embedded server tells of it when the answer begins."""

    def __init__(self, log: BinaryIO) -> None:
        self._log = log

    def __call__(self, call: Call, answer: Answer | Streaming | None) -> None:
        time = datetime.now(UTC).isoformat()
        target = call.target
        reference = {"resource": target.plural, "namespace": target.namespace, "name": target.name, "subresource": target.subresource}
        event = {
            "kind": "Event",
            "stage": "ResponseStarted" if call.verb == "watch" else "ResponseComplete",
            "requestURI": f"{call.path}?{urlencode(call.query)}",
            "verb": call.verb,
            "userAgent": call.user_agent,
            "objectRef": reference if target.is_resource else None,
            "responseStatus": {"code": answer.status if answer else 0},
            "requestReceivedTimestamp": time,
            "stageTimestamp": time,
        }
        self._log.write(orjson.dumps(event) + b"\n")


async def _serve(audit_log: Path, foreign: int, routes: str) -> None:
    with audit_log.open("wb", buffering=0) as log:
        server = ApiServer()
        server.log.recorders.append(AuditLogWriter(log))
        server.load([*crds(), namespace(FOREIGN_NAMESPACE)])
        server.load(foreign_objects(foreign, routes))
        async with server.running(), serve(server) as serving:
            sys.stdout.write(orjson.dumps(server.kubeconfig(serving.url)).decode() + "\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audit-log", type=Path, required=True)
    parser.add_argument("--foreign", type=int, required=True)
    parser.add_argument("--routes", required=True)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.audit_log, arguments.foreign, arguments.routes))


if __name__ == "__main__":
    main()
