from __future__ import annotations

from matcher.records import Need
from matcher.store import Store
from tests.store.examples import achievement, contacts, every_change, put, stored


def test_a_contact_lives_apart_and_never_comes_with_a_record(store: Store) -> None:
    put(store, achievement(1, institution="四川大学"), contact="张三 13800000000")
    assert contacts(store) == ["张三 13800000000"]
    for each in [*every_change(store, 10), *store.records()]:
        assert "13800000000" not in repr(each)


def test_a_new_contact_replaces_the_old_one(store: Store) -> None:
    put(store, achievement(1), contact="张三")
    assert put(store, achievement(1), contact="张三") == ["unchanged"]
    assert put(store, achievement(1), contact="李四") == ["updated"]
    assert contacts(store) == ["李四"]
    assert put(store, achievement(1)) == ["updated"]
    assert contacts(store) == []


def test_tags_come_with_their_record_and_are_replaced_as_a_whole(store: Store) -> None:
    put(store, achievement(1), achievement(2), Need(source="平台甲", source_id="1", title="求烘干"))
    keys = [each.key for each in store.records()]
    store.save_tags({keys[0]: {"food": 0.9, "agriculture": 0.5}, keys[1]: {"food": 0.7}, keys[2]: {"food": 0.8}})
    assert stored(store, achievement(1)).tags == {"food": 0.9, "agriculture": 0.5}
    assert store.programme_counts() == {"achievement": {"food": 2, "agriculture": 1}, "need": {"food": 1}}
    store.save_tags({keys[0]: {"machinery": 0.6}, keys[1]: {}})
    assert [dict(each.tags) for each in store.records()] == [{"machinery": 0.6}, {}, {"food": 0.8}]
    store.withdraw(achievement(1).id)
    assert store.programme_counts() == {"need": {"food": 1}}
    store.save_tags({})


def test_tags_do_not_count_as_a_change(store: Store) -> None:
    put(store, achievement(1))
    revision = store.revision()
    store.save_tags({stored(store, achievement(1)).key: {"food": 0.9}})
    assert store.revision() == revision
