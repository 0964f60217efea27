"""Names beside points: none on another, none outside, and the same for the same points."""

from __future__ import annotations

from itertools import combinations

import pytest

from distill.search.labels import Box, places

ROOM = Box(0, 0, 500, 300)
MARKER = 6.0


def markers(points: list[tuple[float, float]]) -> list[Box]:
    return [Box(x - MARKER / 2, y - MARKER / 2, MARKER, MARKER) for x, y in points]


@pytest.mark.parametrize(
    "points",
    [
        [(250 + each, 150 + each % 3) for each in range(20)],  # layers of one quality and one accuracy
        [(250.0, 150.0)] * 12,
        [(x, y) for x in (2.0, 498.0) for y in (2.0, 150.0, 298.0)],  # corners
        [(30.0 * each, 7.0 * (each % 4) + 100) for each in range(1, 16)],
    ],
)
def test_no_name_lies_on_another_or_on_a_point_however_close_they_are(points: list[tuple[float, float]]) -> None:
    sizes = [(60.0 + 3 * (at % 4), 8.0) for at in range(len(points))]
    found = places(points, sizes, ROOM, markers(points))
    assert found == places(points, sizes, ROOM, markers(points))
    assert not any(one.overlap(other) for one, other in combinations(found, 2))
    assert not any(each.overlap(marker) for each in found for marker in markers(points))
    assert all(each.within(ROOM) for each in found)
    assert [(each.width, each.height) for each in found] == sizes


def test_a_name_that_has_room_stands_right_above_its_point() -> None:
    (found,) = places([(100.0, 100.0)], [(60.0, 8.0)], ROOM, markers([(100.0, 100.0)]))
    assert (100 < found.x < 106, 100 < found.y < 106) == (True, True)


def test_where_there_is_no_room_every_name_still_stands_somewhere() -> None:
    assert len(places([(10.0, 10.0)] * 9, [(60.0, 8.0)] * 9, Box(0, 0, 70, 20), [])) == 9
    assert len(places([(10.0, 10.0)], [(600.0, 8.0)], ROOM, [])) == 1
