"""Bearer tokens: static ones, and those of service accounts, which are JWTs signed with a key that only this process knows."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from flagger_py.local.apiserver.status import unauthorized
from flagger_py.local.apiserver.users import ANONYMOUS, User, service_account

ISSUER = "https://kubernetes.default.svc"


@dataclass(slots=True, eq=False)
class Authenticator:
    """Knows whose token it is. `account_uid` tells the uid of a service account by namespace and name; `None` where it is gone."""

    now: Callable[[], datetime]
    account_uid: Callable[[str, str], str | None]
    tokens: dict[str, User] = field(default_factory=dict)
    """Static tokens."""
    anonymous: User = ANONYMOUS
    """Who calls without a token."""
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def authenticate(self, authorization: str) -> User:
        """The user of an `Authorization` header; anonymous where there is none. Raises 401."""
        if not authorization:
            return self.anonymous
        scheme, _, token = authorization.partition(" ")
        user = self.user_of(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            raise unauthorized()
        return user

    def user_of(self, token: str) -> User | None:
        """The user of a token; `None` for an unknown, altered or expired one, and for that of an account that was deleted."""
        if token in self.tokens:
            return self.tokens[token]
        claims = self._claims(token)
        if claims is None or claims["exp"] <= self.now().timestamp():
            return None
        namespace, name, uid = (claims["kubernetes.io"][key] for key in ("namespace", "name", "uid"))
        return service_account(namespace, name, uid) if self.account_uid(namespace, name) == uid else None

    def issue(self, namespace: str, name: str, uid: str, seconds: int) -> str:
        """A token of a service account that is good for some seconds."""
        issued = int(self.now().timestamp())
        claims = {
            "aud": [ISSUER],
            "iss": ISSUER,
            "iat": issued,
            "exp": issued + seconds,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "kubernetes.io": {"namespace": namespace, "name": name, "uid": uid},
        }
        signed = b".".join((_encoded({"alg": "HS256", "typ": "JWT"}), _encoded(claims)))
        return b".".join((signed, self._signature(signed))).decode()

    def _claims(self, token: str) -> dict[str, Any] | None:
        signed, _, signature = token.encode().rpartition(b".")
        if not signed or not hmac.compare_digest(self._signature(signed), signature):
            return None
        payload = signed.partition(b".")[2]
        claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        return claims

    def _signature(self, signed: bytes) -> bytes:
        return base64.urlsafe_b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).rstrip(b"=")


def _encoded(part: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=")
