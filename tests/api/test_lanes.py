"""Places of a lane: so many and no more, in turn, given back, and refused only where nothing moves."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from api.errors.problems import Problem, Unavailable
from api.state.lanes import Lane
from store.objects import StorageUnavailable

SILENT_SECONDS = 0.5


def lane(places: int, stalled_seconds: float = SILENT_SECONDS) -> Lane:
    return Lane("store of the tests", places, "storage_unavailable", stalled_seconds)


async def hold(lane: Lane, ended: asyncio.Event, entered: list[int], number: int) -> None:
    async with lane.place():
        entered.append(number)
        await ended.wait()


def test_so_many_at_once_and_in_turn() -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        two, entered = lane(2, 60), list[int]()
        ends = [asyncio.Event() for _ in range(5)]
        tasks = [asyncio.create_task(hold(two, end, entered, number)) for number, end in enumerate(ends)]
        await asyncio.sleep(0)
        at_first = list(entered)
        for end in ends:
            end.set()
        await asyncio.gather(*tasks)
        return at_first, entered

    assert asyncio.run(scenario()) == ([0, 1], [0, 1, 2, 3, 4])


def test_nobody_waits_for_what_does_not_move() -> None:
    """The first that waits is refused after a while, those after it at once; when the calls fail, places are free."""

    async def scenario() -> None:
        one, ended = lane(1), asyncio.Event()
        stuck = asyncio.create_task(hold(one, ended, [], 0))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await one.run(lambda: None)
        assert refused.value.code == "storage_unavailable"
        assert int(refused.value.headers["Retry-After"]) > 0
        with pytest.raises(Unavailable):
            async with asyncio.timeout(SILENT_SECONDS / 2):  # refused, not waited for
                await one.run(lambda: None)
        assert not stuck.done()
        ended.set()
        await stuck
        assert await one.run(lambda: "again") == "again"

    asyncio.run(scenario())


def test_whoever_waits_behind_calls_that_end_is_not_refused() -> None:
    """However long it takes all of them: ten calls, each a fifth of what counts as silence."""

    async def scenario() -> list[str]:
        one = lane(1)

        async def slow() -> str:
            async with one.place():
                await asyncio.sleep(SILENT_SECONDS / 5)
            return "done"

        return await asyncio.gather(*(slow() for _ in range(10)))

    assert asyncio.run(scenario()) == ["done"] * 10


@pytest.mark.parametrize("error", [StorageUnavailable("x"), OperationalError("x", None, Exception())])
def test_a_call_that_got_no_answer_is_no_movement(error: Exception) -> None:
    async def scenario() -> None:
        one = lane(1)

        async def fails() -> None:
            async with one.place():
                await asyncio.sleep(SILENT_SECONDS / 5)
                raise error

        calls = [asyncio.create_task(fails()) for _ in range(10)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert type(done[0]) is type(error)
        assert type(done[-1]) is Unavailable

    asyncio.run(scenario())


def test_an_error_of_the_caller_is_an_answer() -> None:
    async def scenario() -> list[BaseException | None]:
        one = lane(1)

        async def refuses() -> None:
            async with one.place():
                await asyncio.sleep(SILENT_SECONDS / 5)
                raise Problem("not so")

        return await asyncio.gather(*(refuses() for _ in range(10)), return_exceptions=True)

    assert [type(each) for each in asyncio.run(scenario())] == [Problem] * 10


def test_who_goes_away_while_waiting_leaves_its_place() -> None:
    async def scenario() -> None:
        one, ended = lane(1, 60), asyncio.Event()
        stuck = asyncio.create_task(hold(one, ended, [], 0))
        waiting = [asyncio.create_task(hold(one, ended, [], number)) for number in range(1, 4)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        ended.set()
        waiting[1].cancel()  # perhaps with its turn come already
        await asyncio.gather(stuck, *waiting, return_exceptions=True)
        async with asyncio.timeout(5):
            await one.run(lambda: None)

    asyncio.run(scenario())


def test_a_request_that_has_a_place_needs_no_second() -> None:
    async def scenario() -> str:
        one = lane(1)
        async with one.place():
            return await one.run(lambda: "inside")

    assert asyncio.run(scenario()) == "inside"


def test_a_place_is_held_while_a_chunk_is_read_and_not_while_it_is_taken() -> None:
    async def scenario() -> None:
        one = lane(1, 5)
        body = one.each(iter([b"a", b"b"]), 5)
        assert await anext(body) == b"a"
        assert await one.run(lambda: "meanwhile") == "meanwhile"
        assert [chunk async for chunk in body] == [b"b"]

    asyncio.run(scenario())
