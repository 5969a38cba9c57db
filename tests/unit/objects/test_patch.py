"""Merge patches between two manifests."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flagger_py.objects.patch import MergePatch, merge_patch, pinned

VALUES = st.recursive(
    st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
MANIFESTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def apply(target: Any, patch: Any) -> Any:
    """RFC 7386, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result


@given(MANIFESTS, MANIFESTS)
def test_a_patch_turns_the_old_into_the_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert apply(old, merge_patch(old, new).body) == new


@given(MANIFESTS)
def test_equal_manifests_need_no_patch(manifest: dict[str, Any]) -> None:
    assert merge_patch(manifest, manifest).is_empty


def test_only_what_differs_is_sent() -> None:
    old = {"spec": {"a": 1, "b": [1, 2], "c": {"d": 1, "e": 2}}, "status": {"x": 1}}
    new = {"spec": {"a": 1, "b": [1, 3], "c": {"d": 1}}, "status": {"x": 1}}
    assert merge_patch(old, new).body == {"spec": {"b": [1, 3], "c": {"e": None}}}


def test_a_pinned_patch_keeps_its_own_metadata() -> None:
    patch = MergePatch({"metadata": {"labels": {"a": "b"}}, "spec": {}})
    assert pinned(patch, {"metadata": {"resourceVersion": "7"}}).body == {
        "metadata": {"labels": {"a": "b"}, "resourceVersion": "7"},
        "spec": {},
    }
