"""Rows in groups: alike in length and prefix, no larger than allowed, the largest first."""

from homeedit.editing.batches import batches_of
from tests.editing.helpers import row


def test_groups_are_alike_and_the_largest_comes_first() -> None:
    lengths = [3, 30, 4, 9, 10, 5, 8, 31, 6]
    rows = [row(list(range(length)), 1, prefixed=length != 9) for length in lengths]
    found = [[lengths[index] for index in group] for group in batches_of(rows, 24)]
    assert found == [[31], [30], [3, 4, 5, 6], [8, 10], [9]], "a row that is too long stands alone"
