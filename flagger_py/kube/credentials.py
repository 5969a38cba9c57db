"""Who we are to the API server, and how to reach it: read from a kubeconfig or from the pod, and read again when it expires."""

import asyncio
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import yaml

from flagger_py.kube.configuration import library

REREAD_SECONDS: Final = 60.0
"""How old a token that stands in a file may get: the kubelet rotates it, client-go reads it as often."""
EXEC_TIMEOUT: Final = 60.0
"""Seconds that an exec plug-in may take; some ask a person to log in."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts a pod's token and CA certificate."""


class ConfigError(Exception):
    """There is no usable configuration: the message says what was looked for, and where."""


_MALFORMED: Final = (AttributeError, KeyError, TypeError, AssertionError)
"""What kubernetes_asyncio raises for a file whose parts are not of the expected types."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a request needs. `expires_in`: seconds until it should be read again, `None` for never."""

    host: str
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | None
    tls_key: tuple[object, ...] = ()
    """Equal for equal TLS files, so that connections survive a new token."""
    server_name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    expires_in: float | None = None


class Credentials(Protocol):
    """Where access comes from."""

    async def load(self) -> Access:
        """Read it afresh. Raises `ConfigError`."""


class KubeconfigCredentials:
    """A kubeconfig file (or several, joined by the path separator): certificates, tokens, token files, exec and auth plug-ins, proxies."""

    def __init__(self, path: str, *, context: str | None = None, master: str = "") -> None:
        self._path = path
        self._context = context
        self._master = master

    async def load(self) -> Access:
        kubernetes = library()
        configuration = kubernetes.configuration()
        try:
            async with asyncio.timeout(EXEC_TIMEOUT):
                loader = await kubernetes.load_kube_config(self._path, self._context, configuration, persist_config=False)
        except TimeoutError as error:
            raise ConfigError(f"kubeconfig {self._path}: its credentials plug-in gave no answer within {EXEC_TIMEOUT:g} s") from error
        except (kubernetes.config_exception, OSError, ValueError, yaml.YAMLError, *_MALFORMED) as error:
            raise ConfigError(f"kubeconfig {self._path}: {error}") from error
        if self._master:
            configuration.host = self._master
        return await asyncio.to_thread(_access, configuration, _lifetime(loader))


class InClusterCredentials:
    """The service account of the pod that we run in."""

    def __init__(self, folder: Path = SERVICE_ACCOUNT) -> None:
        self._folder = folder

    @staticmethod
    def is_available() -> bool:
        """Whether we run in a pod."""
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST") and os.environ.get("KUBERNETES_SERVICE_PORT"))

    async def load(self) -> Access:
        return await asyncio.to_thread(self._load)

    def _load(self) -> Access:
        kubernetes = library()
        configuration = kubernetes.configuration()
        files = {"token_filename": str(self._folder / "token"), "cert_filename": str(self._folder / "ca.crt")}
        try:
            kubernetes.load_incluster_config(configuration, try_refresh_token=False, **files)
        except (kubernetes.config_exception, OSError) as error:
            raise ConfigError(f"service account in {self._folder}: {error}") from error
        return _access(configuration, REREAD_SECONDS)


class PlainCredentials:
    """A bare URL (`-master` without a kubeconfig): no credentials at all."""

    def __init__(self, master: str) -> None:
        self._master = master

    async def load(self) -> Access:
        tls = await asyncio.to_thread(ssl.create_default_context)
        return Access(self._master.rstrip("/"), {}, tls, proxy=_proxy_from_environment(self._master))


def choose(kubeconfig: str = "", *, context: str | None = None, master: str = "", in_cluster: bool | None = None) -> Credentials:
    """As client-go does: what is named, else the pod's service account, else `$KUBECONFIG` or `~/.kube/config`.

    `in_cluster`: `None` finds out. Raises `ConfigError` where there is nothing.
    """
    if kubeconfig:
        return KubeconfigCredentials(kubeconfig, context=context, master=master)
    if in_cluster or (in_cluster is None and not master and not context and InClusterCredentials.is_available()):
        return InClusterCredentials()
    if master and not context:
        return PlainCredentials(master)
    paths = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not any(Path(path).is_file() for path in paths.split(os.pathsep)):
        raise ConfigError(f"no cluster to talk to: -kubeconfig is not set, there is no file {paths}, KUBERNETES_SERVICE_HOST is not set")
    return KubeconfigCredentials(paths, context=context, master=master)


def _access(configuration: Any, lifetime: float | None) -> Access:
    token = str(configuration.api_key.get("BearerToken", "")).strip()
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    try:
        tls = _tls_context(configuration) if configuration.host.startswith("https") else None
        tls_key = (configuration.verify_ssl, *(Path(name).read_bytes() if name else b"" for name in files)) if tls else ()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"TLS files {', '.join(name for name in files if name)}: {error}") from error
    return Access(
        configuration.host.rstrip("/"),
        {"Authorization": token} if token else {},
        tls,
        tls_key,
        configuration.tls_server_name,
        configuration.proxy or _proxy_from_environment(configuration.host),
        lifetime,
    )


def _tls_context(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Python 3.13 asks for extensions that the CAs of many clusters lack; Go, and so kubectl, does not.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _lifetime(loader: Any) -> float | None:
    """How long what a kubeconfig gave is good for; what has no known end is read again after a 401."""
    expiry: datetime | None = getattr(loader, "exec_plugin_expiry", None)
    if expiry:
        return max(REREAD_SECONDS, (expiry - datetime.now(UTC)).total_seconds() - REREAD_SECONDS)
    user = loader._user  # noqa: SLF001 - it has no public name
    return REREAD_SECONDS if user is not None and "tokenFile" in user else None


def _proxy_from_environment(url: str) -> str | None:
    """`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as every client reads them."""
    parts = urlsplit(url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)
