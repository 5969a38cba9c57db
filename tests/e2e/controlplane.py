"""A real control plane: etcd, kube-apiserver and kube-controller-manager, in the network namespace of the suite."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.namespace import SERVICE_NETWORK
from tests.e2e.processes import Child, answers_ok

ADDRESS: Final = "10.96.0.1"
"""The ClusterIP of the Service `kubernetes`: the API server itself listens there, so that it needs no forwarding."""
USERS: Final[Mapping[str, tuple[str, str]]] = {
    "admin": ("admin", "system:masters"),
    "node": ("node-agent", "system:masters"),
    "gateway": ("gateway", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", "system:masters"),
}
"""Token users: name and group by kubeconfig."""
NODE_GRACE: Final = "25s"
"""After so long without a heartbeat (every 10 s) a node is taken for dead; Kubernetes has 50 s."""
AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(slots=True)
class ControlPlane:
    """Its parts as processes. Logs, keys and data lie in `folder`."""

    binaries: Mapping[str, Path]
    folder: Path
    etcd: Child = field(init=False)
    api_server: Child = field(init=False)
    controller_manager: Child = field(init=False)

    def __post_init__(self) -> None:
        self._write_files()
        self.etcd = self._child("etcd", self._etcd_flags())
        self.api_server = self._child("kube-apiserver", self._api_server_flags())
        self.controller_manager = self._child("kube-controller-manager", self._controller_manager_flags())

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:443"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    @property
    def certificate(self) -> Path:
        """The CA that pods trust, as `kube-root-ca.crt` gives it to them; the server makes it at its first start."""
        return self.folder / "pki" / "apiserver.crt"

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.folder / f"kubeconfig-{user}"

    async def start(self, *, managed: bool = True) -> None:
        """Everything, or all but the controller manager."""
        await self.start_etcd()
        await self.start_api_server()
        if managed:
            await self.controller_manager.start()

    async def start_etcd(self) -> None:
        await self.etcd.start()
        await self.etcd.until(answers_ok("http://127.0.0.1:2379/health"))

    async def start_api_server(self) -> None:
        await self.api_server.start()
        await self.api_server.until(answers_ok(f"{self.url}/readyz", {"Authorization": "Bearer admin"}))

    async def stop(self) -> None:
        for child in (self.controller_manager, self.api_server, self.etcd):
            if child.is_running:
                await child.stop()

    async def compact_etcd(self) -> None:
        """Forget all versions but the newest; who watches from an older one has to list again."""
        async with aiohttp.ClientSession("http://127.0.0.1:2379", raise_for_status=True) as session:
            async with session.post("/v3/kv/range", json={"key": "AA=="}) as answer:
                revision = (await answer.json())["header"]["revision"]
            async with session.post("/v3/kv/compaction", json={"revision": revision, "physical": True}):
                return

    def write_signing_key(self) -> None:
        """A new key for the tokens of service accounts."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        content = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (self.folder / "pki" / "sa.key").write_bytes(content)

    def audit(self) -> list[dict[str, Any]]:
        """Every finished request so far, in the order of their ends."""
        return [json.loads(line) for line in self.audit_log.read_text().splitlines() if line.endswith("}")]

    def _child(self, name: str, flags: Mapping[str, object]) -> Child:
        return Child(name, [str(self.binaries[name]), *(f"--{flag}={value}" for flag, value in flags.items())], self.folder)

    def _write_files(self) -> None:
        pki = self.folder / "pki"
        pki.mkdir(parents=True, exist_ok=True)
        self.write_signing_key()
        rows = [f'{token},{user},{user},"{group}"' for token, (user, group) in USERS.items()]
        (pki / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self.folder / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
        for user in USERS:
            self.kubeconfig(user).write_text(yaml.safe_dump(kubeconfig(self.url, token=user)))

    def _etcd_flags(self) -> Mapping[str, object]:
        clients, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        return {
            "data-dir": self.folder / "etcd",
            "unsafe-no-fsync": "true",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
        }

    def _api_server_flags(self) -> Mapping[str, object]:
        pki = self.folder / "pki"
        return {
            "etcd-servers": "http://127.0.0.1:2379",
            "bind-address": ADDRESS,
            "secure-port": 443,
            "cert-dir": pki,
            "authorization-mode": "RBAC",
            "token-auth-file": pki / "tokens.csv",
            "service-account-key-file": pki / "sa.key",
            "service-account-signing-key-file": pki / "sa.key",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-cluster-ip-range": SERVICE_NETWORK,
            "endpoint-reconciler-type": "none",
            "enable-admission-plugins": "OwnerReferencesPermissionEnforcement",  # as OpenShift has it
            "audit-policy-file": self.folder / "audit-policy.yaml",
            "audit-log-path": self.audit_log,
        }

    def _controller_manager_flags(self) -> Mapping[str, object]:
        return {
            "kubeconfig": self.kubeconfig("kube-controller-manager"),
            "service-account-private-key-file": self.folder / "pki" / "sa.key",
            "root-ca-file": self.certificate,
            "leader-elect": "false",
            "node-monitor-grace-period": NODE_GRACE,
            "secure-port": 0,
        }


def kubeconfig(url: str, *, token: str, certificate: Path | None = None) -> dict[str, Any]:
    """A kubeconfig with one context; without a certificate the server's is not verified."""
    if certificate is None:
        cluster: dict[str, Any] = {"server": url, "insecure-skip-tls-verify": True}
    else:
        cluster = {"server": url, "certificate-authority-data": base64.b64encode(certificate.read_bytes()).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": "e2e", "user": {"token": token}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "current-context": "e2e",
    }


@asynccontextmanager
async def control_plane(binaries: Mapping[str, Path], folder: Path, *, managed: bool = True) -> AsyncIterator[ControlPlane]:
    """A control plane that runs until the context is left; `managed`: with its controller manager."""
    plane = await asyncio.to_thread(ControlPlane, binaries, folder)
    try:
        await plane.start(managed=managed)
        yield plane
    finally:
        await plane.stop()
