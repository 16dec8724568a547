"""Waiting for what is told later (`relay.stores`): one answer, or all of many."""

import asyncio

from relay.stores import waiting, waiting_for_all


async def test_all_of_many_answer_in_their_order_and_an_error_is_one():
    """Whoever is told first stands where it was asked."""
    later = []
    future = waiting_for_all([later.append] * 3)
    failure = ValueError("no")
    for number, what in ((2, "c"), (0, "a"), (1, failure)):
        assert not future.done()
        later[number](what)
    assert ["a", failure, "c"] == await future


async def test_who_stops_waiting_stops_nothing():
    """What is told afterwards goes nowhere, and fails nowhere."""
    later = []
    both, one = waiting_for_all([later.append] * 2), waiting(later.append)
    for future in (both, one):
        future.cancel()
    for tell in later:
        tell("too late")
    assert (True, True) == (both.cancelled(), one.cancelled())


async def test_an_answer_may_come_at_once():
    """As a refusal does."""
    future = waiting_for_all([lambda told: told(1), lambda told: told(2)])
    assert [1, 2] == await asyncio.wait_for(future, 1)


async def test_nobody_to_wait_for_is_no_wait():
    """An empty list is answered."""
    assert [] == await asyncio.wait_for(waiting_for_all([]), 1)
