from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.merging import MergeConflict, merge

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
objects = st.dictionaries(
    st.text(max_size=3), st.recursive(scalars, lambda inner: st.lists(inner, max_size=3)), max_size=4
)


class MergeTests(SynchronousTestCase):
    def test_null_never_clears(self) -> None:
        self.assertEqual(merge({"a": 1, "b": {"c": "x"}}, {"a": None, "b": None}), {"a": 1, "b": {"c": "x"}})

    def test_a_value_takes_the_place_of_null_and_of_nothing(self) -> None:
        self.assertEqual(merge({"a": None}, {"a": 1, "b": [2]}), {"a": 1, "b": [2]})

    def test_objects_merge_key_by_key(self) -> None:
        merged = merge({"o": {"a": 1, "p": {"x": 1}}}, {"o": {"b": 2, "p": {"y": 2}}})
        self.assertEqual(merged, {"o": {"a": 1, "p": {"x": 1, "y": 2}, "b": 2}})

    def test_arrays_are_concatenated_with_their_duplicates(self) -> None:
        self.assertEqual(merge({"t": ["view"]}, {"t": ["ls", "view"]}), {"t": ["view", "ls", "view"]})

    def test_the_later_scalar_wins(self) -> None:
        self.assertEqual(merge({"a": "x", "b": True}, {"a": "y", "b": False}), {"a": "y", "b": False})

    def test_a_number_is_one_type_however_it_is_written(self) -> None:
        self.assertEqual(merge({"a": 1}, {"a": 1.5}), {"a": 1.5})

    def test_different_types_are_refused_with_the_path_and_the_types(self) -> None:
        with self.assertRaises(MergeConflict) as caught:
            merge({"options": {"debug": True}}, {"options": {"debug": "secret"}})
        self.assertEqual(
            str(caught.exception), "field 'options': field 'debug': type mismatch, expect bool, incoming string"
        )

    def test_a_boolean_is_no_number(self) -> None:
        self.assertRaises(MergeConflict, merge, {"a": 1}, {"a": True})

    @given(objects)
    def test_merging_with_nothing_changes_nothing(self, value: dict[str, object]) -> None:
        self.assertEqual(merge(value, {}), value)
        self.assertEqual(merge({}, value), value)

    def test_neither_source_is_changed(self) -> None:
        first: dict[str, object] = {"o": {"l": [1]}}
        second: dict[str, object] = {"o": {"l": [2], "n": 1}}
        merge(first, second)
        self.assertEqual((first, second), ({"o": {"l": [1]}}, {"o": {"l": [2], "n": 1}}))
