"""Questions that are answered and not stored: who am I, whose token is this, and may somebody do something."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from flagger_py.local.apiserver.answers import Answer, json_answer
from flagger_py.local.apiserver.authentication import ISSUER, Authenticator
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.decoding import decode_object, parse_any
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.rbac import Attributes, Authorizer
from flagger_py.local.apiserver.state import State, format_time
from flagger_py.local.apiserver.status import Subject, bad_request, invalid, invalid_value, not_found
from flagger_py.local.apiserver.users import User
from flagger_py.objects.resource import Manifest

MIN_EXPIRATION: Final = 600
"""Seconds."""
KINDS: Final = frozenset(
    {
        "SelfSubjectReview",
        "TokenReview",
        "LocalSubjectAccessReview",
        "SelfSubjectAccessReview",
        "SelfSubjectRulesReview",
        "SubjectAccessReview",
    }
)


class Reviews:
    """Answers reviews from the same authenticator and authorizer that judge calls."""

    def __init__(self, state: State, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._state = state
        self._authenticator = authenticator
        self._authorizer = authorizer

    def create(self, call: Call, kind: Kind) -> Answer:
        """The review in the body with its status filled in."""
        review = decode_object(call, kind)
        spec = review.get("spec", {})
        match kind.resource.kind:
            case "SelfSubjectReview":
                review["status"] = {"userInfo": _user_info(call.user)}
            case "TokenReview":
                review["status"] = self._token_status(spec)
            case "SelfSubjectRulesReview":
                review["status"] = self._rules_status(call.user, spec)
            case "SelfSubjectAccessReview":
                review["status"] = self._access_status(call.user, spec)
            case _:
                user = User(spec.get("user", ""), tuple(spec.get("groups", ())), spec.get("uid", ""))
                review["status"] = self._access_status(user, spec)
        return json_answer({**_headed(review, kind), "metadata": {}}, 201)

    def create_token(self, call: Call, kind: Kind) -> Answer:
        """A token for the service account that the call names (`serviceaccounts/token`). Raises 404."""
        key = (call.target.namespace, call.target.name)
        record = self._state.collection(kind).records.get(key)
        if record is None:
            raise not_found(kind.subject(call.target.name))
        seconds = _expiration(call)
        if seconds < MIN_EXPIRATION:
            error = invalid_value("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
            raise invalid(Subject("authentication.k8s.io", "", "TokenRequest"), [error])
        token = self._authenticator.issue(*key, record.manifest["metadata"]["uid"], seconds)
        status = {"token": token, "expirationTimestamp": format_time(self._state.now() + timedelta(seconds=seconds))}
        spec = {"audiences": [ISSUER], "expirationSeconds": seconds, "boundObjectRef": None}
        metadata = {"name": key[1], "namespace": key[0], "creationTimestamp": self._state.timestamp()}
        body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": metadata, "spec": spec, "status": status}
        return json_answer(body, 201)

    def _token_status(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        user = self._authenticator.user_of(spec["token"])
        if user is None:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": _user_info(user), "audiences": [ISSUER]}

    def _access_status(self, user: User, spec: Mapping[str, Any]) -> dict[str, Any]:
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (other is None):
            why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            raise invalid(Subject("authorization.k8s.io", "", ""), [invalid_value("spec.resourceAttributes", None, why)])
        if resource is None:
            other = other or {}
            return {"allowed": self._authorizer.allows(user, Attributes(other.get("verb", ""), path=other.get("path", "")))}
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        return {"allowed": self._authorizer.allows(user, Attributes(*(resource.get(name, "") for name in names)))}

    def _rules_status(self, user: User, spec: Mapping[str, Any]) -> dict[str, Any]:
        if not (namespace := spec.get("namespace", "")):
            raise bad_request("no namespace on request")
        rules = [*self._authorizer.rules(user, ""), *self._authorizer.rules(user, namespace)]
        return {
            "resourceRules": [{**rule} for rule in rules if "resources" in rule],
            "nonResourceRules": [{**rule} for rule in rules if "nonResourceURLs" in rule],
            "incomplete": False,
        }


def _headed(review: Manifest, kind: Kind) -> Manifest:
    return {"kind": kind.resource.kind, "apiVersion": kind.resource.api_version, **review}


def _user_info(user: User) -> dict[str, Any]:
    return {"username": user.name, "groups": list(user.groups)} | ({"uid": user.uid} if user.uid else {})


def _expiration(call: Call) -> int:
    body = parse_any(call.body, call.content_type) if call.body else {}
    return int((body.get("spec") or {}).get("expirationSeconds") or 3600)
