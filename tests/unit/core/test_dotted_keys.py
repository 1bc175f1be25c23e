from twisted.trial.unittest import SynchronousTestCase

from txcrush.core.dotted_keys import path_of, remove_value, set_value


class SetValueTests(SynchronousTestCase):
    def test_missing_parents_are_created(self) -> None:
        self.assertEqual(set_value({}, "options.tui.diff_mode", "split"), {"options": {"tui": {"diff_mode": "split"}}})

    def test_key_order_and_unknown_keys_stay_and_the_source_is_not_changed(self) -> None:
        before: dict[str, object] = {"z": 1, "o": {"y": 1, "x": 2}, "a": 3}
        after = set_value(before, "o.y", 9)
        self.assertEqual(list(after), ["z", "o", "a"])
        self.assertEqual(after, {"z": 1, "o": {"y": 9, "x": 2}, "a": 3})
        self.assertEqual(before["o"], {"y": 1, "x": 2})

    def test_an_escaped_dot_belongs_to_the_name(self) -> None:
        self.assertEqual(set_value({}, r"providers.a\.b.name", "x"), {"providers": {"a.b": {"name": "x"}}})
        self.assertEqual(set_value({}, path_of("p", r"a.b\c"), 1), {"p": {r"a.b\c": 1}})

    def test_a_number_is_an_index_in_an_array_and_a_key_in_an_object(self) -> None:
        self.assertEqual(set_value({"l": ["a", "b"]}, "l.1", "c"), {"l": ["a", "c"]})
        self.assertEqual(set_value({"o": {"x": 1}}, "o.1", "c"), {"o": {"x": 1, "1": "c"}})

    def test_minus_one_appends(self) -> None:
        self.assertEqual(set_value({"l": ["a"]}, "l.-1", "b"), {"l": ["a", "b"]})
        self.assertEqual(set_value({}, "l.-1.name", "b"), {"l": [{"name": "b"}]})

    def test_an_index_behind_the_end_pads_with_null_within_bounds(self) -> None:
        self.assertEqual(set_value({"l": ["a"]}, "l.2", "c"), {"l": ["a", None, "c"]})
        self.assertRaises(ValueError, set_value, {"l": []}, "l.99999999999999", "c")

    def test_a_name_is_no_index(self) -> None:
        self.assertRaises(ValueError, set_value, {"l": []}, "l.name", "c")

    def test_a_scalar_parent_is_replaced(self) -> None:
        self.assertEqual(set_value({"a": "x"}, "a.b", 1), {"a": {"b": 1}})

    def test_an_empty_path_is_refused(self) -> None:
        with self.assertRaises(ValueError) as caught:
            set_value({}, "", 1)
        self.assertEqual(str(caught.exception), "path cannot be empty")
        self.assertRaises(ValueError, set_value, {}, "a..b", 1)

    def test_a_path_has_a_bounded_depth(self) -> None:
        self.assertRaises(ValueError, set_value, {}, ".".join("a" * 5000), 1)


class RemoveValueTests(SynchronousTestCase):
    def test_the_key_goes_and_its_parent_stays(self) -> None:
        self.assertEqual(remove_value({"o": {"a": 1}}, "o.a"), {"o": {}})

    def test_an_absent_path_is_fine(self) -> None:
        before: dict[str, object] = {"o": {"a": 1}, "s": "x", "l": [1]}
        for path in ("n", "o.n.m", "s.x", "l.7", "l.7.x", "l.name"):
            self.assertEqual(remove_value(before, path), before)

    def test_entries_of_arrays_go_by_index(self) -> None:
        self.assertEqual(remove_value({"l": [1, 2, 3]}, "l.0"), {"l": [2, 3]})
        self.assertEqual(remove_value({"l": [1, 2, 3]}, "l.-1"), {"l": [1, 2]})
        self.assertEqual(remove_value({"l": [1, {"a": 1, "b": 2}]}, "l.1.a"), {"l": [1, {"b": 2}]})

    def test_an_empty_path_is_refused(self) -> None:
        self.assertRaises(ValueError, remove_value, {}, "")
