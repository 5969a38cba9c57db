"""The store: own writes are seen at once, and the watch always wins in the end."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flagger_py.kube.store import Key, Projection, Store, identity_only
from flagger_py.objects.resource import CONFIG_MAP, DEPLOYMENT, Manifest


def obj(name: str, version: str, uid: str = "u", **content: Any) -> Manifest:
    return {"metadata": {"name": name, "namespace": "test", "uid": uid, "resourceVersion": version}, **content}


KEY: Key = ("test", "a")


def replicas(store: Store, name: str = "a") -> int | None:
    found = store.read("test", name)
    return found["spec"]["replicas"] if found else None


def listed(store: Store, *manifests: Manifest) -> Store:
    store.begin_list()
    for manifest in manifests:
        store.upsert(manifest)
    store.complete_list()
    return store


@pytest.fixture
def store() -> Store:
    return listed(Store(DEPLOYMENT, Projection()), obj("a", "10", spec={"replicas": 1}))


def test_objects_are_handed_out_with_kind_and_version_and_without_managed_fields(store: Store) -> None:
    store.upsert({"metadata": {"name": "b", "namespace": "test", "resourceVersion": "11", "managedFields": [{}]}, "spec": {}})
    assert store.read("test", "b") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "b", "namespace": "test", "resourceVersion": "11"},
        "spec": {},
    }


def test_what_is_handed_out_can_be_changed_without_harm(store: Store) -> None:
    found = store.read("test", "a")
    assert found
    found["spec"]["replicas"] = 99
    assert replicas(store) == 1


def test_news_from_before_an_own_write_are_ignored(store: Store) -> None:
    assert store.absorb(obj("a", "20", spec={"replicas": 2})) == [KEY]
    assert store.upsert(obj("a", "15", spec={"replicas": 1})) == []
    assert replicas(store) == 2
    assert store.upsert(obj("a", "20", spec={"replicas": 2})) == []
    assert store.upsert(obj("a", "21", spec={"replicas": 3})) == [KEY]


def test_a_reply_that_comes_after_newer_news_is_ignored(store: Store) -> None:
    store.upsert(obj("a", "30", spec={"replicas": 3}))
    assert store.absorb(obj("a", "20", spec={"replicas": 2})) == []
    assert replicas(store) == 3


def test_versions_that_are_no_numbers_wait_for_our_own_to_come_by(store: Store) -> None:
    store.absorb(obj("a", "ours", spec={"replicas": 2}))
    assert store.upsert(obj("a", "older", spec={"replicas": 1})) == []
    assert store.upsert(obj("a", "ours", spec={"replicas": 2})) == []
    assert store.upsert(obj("a", "newer", spec={"replicas": 3})) == [KEY]


def test_what_we_deleted_does_not_come_back_by_late_news(store: Store) -> None:
    assert store.forget("test", "a", "u") == [KEY]
    assert store.upsert(obj("a", "11", spec={"replicas": 1})) == []
    assert store.remove(obj("a", "12")) == []
    assert store.upsert(obj("a", "13", uid="second", spec={"replicas": 1})) == [KEY]


def test_late_news_of_a_deletion_do_not_remove_what_we_created_since(store: Store) -> None:
    store.absorb(obj("a", "40", uid="second", spec={"replicas": 4}))
    assert store.remove(obj("a", "30")) == []
    assert replicas(store) == 4
    assert store.forget("test", "a", "u") == []


def test_a_list_removes_what_it_does_not_name_except_what_we_wrote_meanwhile(store: Store) -> None:
    store.begin_list()
    store.absorb(obj("b", "41", spec={"replicas": 1}))
    store.upsert(obj("c", "5", spec={"replicas": 1}))
    assert store.complete_list() == [KEY]
    assert sorted(store) == [("test", "b"), ("test", "c")]


def test_a_new_list_is_believed_even_if_its_versions_are_lower(store: Store) -> None:
    """A server restored from a backup begins again at lower versions."""
    listed(store, obj("a", "3", spec={"replicas": 7}))
    assert replicas(store) == 7


def test_a_list_that_breaks_off_loses_nothing(store: Store) -> None:
    store.begin_list()
    store.upsert(obj("b", "5", spec={"replicas": 1}))
    assert replicas(store) == 1
    listed(store, obj("a", "10", spec={"replicas": 1}))
    assert list(store) == [KEY]


def test_only_what_is_kept_counts_as_a_change() -> None:
    store = listed(Store(CONFIG_MAP, Projection(identity_only)), obj("a", "1", data={"x": "1"}))
    assert store.upsert(obj("a", "2", data={"x": "2"})) == []
    assert store.version("test", "a") == "2"


def test_with_metadata_alone_each_version_counts_as_a_change() -> None:
    store = listed(Store(CONFIG_MAP, Projection(identity_only, metadata_only=True)), obj("a", "1"))
    assert store.upsert(obj("a", "2")) == [KEY]
    assert store.upsert(obj("a", "2")) == []


def test_items_are_given_by_namespace() -> None:
    store = Store(DEPLOYMENT, Projection())
    store.upsert(obj("a", "1"))
    store.upsert({"metadata": {"name": "b", "namespace": "other", "resourceVersion": "2"}})
    assert [item["metadata"]["name"] for item in store.items("other")] == ["b"]
    assert len(list(store.items())) == len(store) == 2
    assert store.items("empty") is not None
    assert list(store.items("empty")) == []


NAMES = st.sampled_from(["a", "b", "c"])


class StoreModel(RuleBasedStateMachine):
    """A server with a history, a watch that lags behind it, and a writer whose replies go to the store."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.server: dict[str, Manifest] = {}
        self.pending: list[tuple[str, Manifest]] = []
        self.store = Store(DEPLOYMENT, Projection())
        self.listing: list[Manifest] | None = None
        self.ours: dict[str, int] = {}
        self.deleted: dict[str, int] = {}
        self.deleted_by_us: set[str] = set()
        self.store.begin_list()
        self.store.complete_list()

    def change(self, name: str) -> Manifest:
        self.version += 1
        before = self.server.get(name)
        uid = before["metadata"]["uid"] if before else f"uid-{self.version}"
        stored = obj(name, str(self.version), uid, spec={"replicas": self.version})
        self.server[name] = stored
        self.pending.append(("upsert", stored))
        return stored

    def drop(self, name: str) -> Manifest:
        self.version += 1
        uid = self.server.pop(name)["metadata"]["uid"]
        gone = obj(name, str(self.version), uid)
        self.pending.append(("remove", gone))
        self.deleted[name] = self.version
        return gone

    @rule(name=NAMES)
    def others_write(self, name: str) -> None:
        self.change(name)

    @rule(name=NAMES)
    def others_delete(self, name: str) -> None:
        if name in self.server:
            self.drop(name)

    @rule(name=NAMES)
    def we_write(self, name: str) -> None:
        reply = self.change(name)
        self.store.absorb(reply)
        self.ours[name] = self.version
        assert replicas(self.store, name) == reply["spec"]["replicas"]

    @rule(name=NAMES)
    def we_delete(self, name: str) -> None:
        if name in self.server:
            gone = self.drop(name)
            self.store.forget("test", name, gone["metadata"]["uid"])
            self.deleted_by_us.add(gone["metadata"]["uid"])

    @rule(name=NAMES)
    def we_read_live(self, name: str) -> None:
        if name in self.server:
            self.store.absorb(self.server[name])
            assert self.store.version("test", name) == self.server[name]["metadata"]["resourceVersion"]

    @rule(count=st.integers(1, 3))
    def the_watch_catches_up(self, count: int) -> None:
        if self.listing is None:
            for kind, manifest in self.pending[:count]:
                self.store.upsert(manifest) if kind == "upsert" else self.store.remove(manifest)
            del self.pending[:count]

    @rule()
    def a_list_begins(self) -> None:
        """A snapshot: what was pending is in it, what comes from now on is watched after it."""
        self.listing = list(self.server.values())
        self.pending.clear()
        self.store.begin_list()

    @rule()
    def a_page_arrives(self) -> None:
        if self.listing:
            self.store.upsert(self.listing.pop())

    @rule()
    def the_list_is_complete(self) -> None:
        if self.listing is not None:
            while self.listing:
                self.store.upsert(self.listing.pop())
            self.store.complete_list()
            self.listing = None

    @invariant()
    def what_we_wrote_is_never_taken_back(self) -> None:
        for name, version in self.ours.items():
            stored = self.store.version("test", name)
            assert int(stored) >= version if stored else self.deleted.get(name, 0) > version

    @invariant()
    def what_we_deleted_never_comes_back(self) -> None:
        assert not {item["metadata"]["uid"] for item in self.store.items()} & self.deleted_by_us

    @invariant()
    def a_watch_that_has_caught_up_shows_the_server(self) -> None:
        if self.listing is None and not self.pending:
            assert {name: replicas(self.store, name) for _, name in self.store} == {
                name: manifest["spec"]["replicas"] for name, manifest in self.server.items()
            }

    def teardown(self) -> None:
        self.the_list_is_complete()
        self.the_watch_catches_up(len(self.pending))
        self.a_watch_that_has_caught_up_shows_the_server()


TestStoreAgainstAModel = StoreModel.TestCase
TestStoreAgainstAModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
