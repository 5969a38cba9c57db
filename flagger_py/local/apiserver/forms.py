"""Which form of an object a caller accepts: the object, its metadata, or rows of a table."""

import enum
from typing import Final

from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.status import not_acceptable

_TYPES: Final = {"application/json", "application/yaml", "*/*", "application/*", ""}
_ACCEPTED: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


class Form(enum.Enum):
    """How objects are answered."""

    OBJECT = ""
    METADATA = "PartialObjectMetadata"
    TABLE = "Table"


def negotiate(call: Call) -> Form:
    """The first acceptable form of the `Accept` header. Raises 406."""
    for clause in call.headers.get("accept", "").split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        if media not in _TYPES:
            continue
        wanted = dict(part.split("=", 1) for part in parameters if "=" in part)
        form = _form(wanted)
        if form is not None:
            return form
    raise not_acceptable(_ACCEPTED)


def _form(parameters: dict[str, str]) -> Form | None:
    kind = parameters.get("as", "")
    if not kind:
        return Form.OBJECT
    if (parameters.get("g"), parameters.get("v")) != ("meta.k8s.io", "v1"):
        return None
    return {"Table": Form.TABLE, "PartialObjectMetadata": Form.METADATA, "PartialObjectMetadataList": Form.METADATA}.get(kind)
