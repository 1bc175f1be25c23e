"""From route families to operations."""

from twisted.trial.unittest import SynchronousTestCase

from txcrush.http.describing import operations_of, tags_of
from txcrush.http.routing import OK, Call, Reply, route


class Family:
    @route("POST", "/v1/b", answers={202: None})
    def zebra(self, call: Call) -> Reply:
        """Do it. At once."""
        return OK

    @route("GET", "/v1/a", answers=int)
    def apple(self, call: Call) -> Reply:
        """Count it."""
        return OK

    @route("GET", "/secret", hidden=True)
    def files(self, call: Call) -> Reply:
        return OK


class Hidden:
    @route("GET", "/secret", hidden=True)
    def files(self, call: Call) -> Reply:
        return OK


class Operations(SynchronousTestCase):
    def test_routes_come_as_they_stand_in_the_source_without_the_hidden_ones(self) -> None:
        found = list(operations_of([Family(), Hidden()]))
        self.assertEqual([(one.name, one.answers) for one in found], [("zebra", {202: None}), ("apple", {200: int})])

    def test_a_family_is_named_and_described_by_its_module(self) -> None:
        (tag,) = tags_of([Family(), Hidden()])
        self.assertEqual((tag.name, tag.description), ("test_describing", "From route families to operations"))
