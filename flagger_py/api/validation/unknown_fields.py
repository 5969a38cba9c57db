"""Fields that no version of the API knows, mostly slips of the pen. The API server drops them without a word (api:API-14)."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from flagger_py.api.base import ApiModel
from flagger_py.api.problems import Problem, join_path, warning
from flagger_py.api.shapes import fields_of


def unknown_field_problems(value: object, path: tuple[str | int, ...]) -> Iterator[Problem]:
    """A warning for each unknown field in a model and in everything below it."""
    if isinstance(value, ApiModel):
        yield from _unknown_of_model(value, path)
        for field in fields_of(type(value)):
            yield from unknown_field_problems(getattr(value, field.name), (*path, field.json_name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from unknown_field_problems(item, (*path, index))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unknown_field_problems(item, (*path, f"[{key}]"))


def _unknown_of_model(model: ApiModel, path: tuple[str | int, ...]) -> Iterator[Problem]:
    known = [field.json_name for field in fields_of(type(model))]
    for name in model.model_extra or {}:
        similar = get_close_matches(name, known, n=1)
        hint = f"did you mean {similar[0]}?" if similar else f"known are {', '.join(known)}"
        yield warning(join_path((*path, name)), None, f"is no field of the API, which drops it: {hint}", "API-14")
