"""What each amount does, told from the model's own settings (facts.md H35)."""

from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.menus import Level, Menu, Preview, Special, menu_as_json, menu_from_json, preview, row_as_json, rows


def level(n, low, high, seconds=2.0):
    return Level(n, low, high, seconds, 5, 0)


# 1-9, 10-49, a gap, 60-100 twice over, and everything from 500 on.
MENU = Menu(
    levels=(level(1, 1, 9), level(2, 10, 49, 5.0), level(3, 60, 100), level(4, 90, 120), level(10, 500, None, 60.0)),
    specials=(
        Special("earthquake", 120, 22.0),
        Special("wave", 15, 10.0, enabled=False),
        Special("pulse", 20, None),
        Special("giveControl", 200, 60.0, tokens_max=300),
    ),
)


@pytest.mark.parametrize(
    ("amount", "reacts", "name", "special"),
    [
        (1, True, 1, None),
        (9, True, 1, None),
        (10, True, 2, None),
        (50, False, None, None),
        (95, True, 3, None),
        (101, True, 4, None),
        (120, True, None, "earthquake"),
        (121, False, None, None),
        (15, True, 2, None),
        (20, True, None, "pulse"),
        (199, False, None, None),
        (200, True, None, "giveControl"),
        (300, True, None, "giveControl"),
        (301, False, None, None),
        (499, False, None, None),
        (500, True, 10, None),
        (2**53 - 1, True, 10, None),
    ],
)
def test_a_tip_is_resolved_special_first_then_lowest_level(amount, reacts, name, special):
    """An enabled special by its exact amount or range, then the lowest-numbered level, else no reaction."""
    found = preview(MENU, amount)
    assert (reacts, name, special) == (found.reacts, found.level, found.special)


def test_levels_count_by_number_not_by_place():
    """`level10` comes after `level9`, however the vendor lists them."""
    menu = Menu(levels=(level(10, 1, 100), level(9, 1, 100), level(2, 50, 60)))
    assert (9, 2) == (preview(menu, 10).level, preview(menu, 55).level)


def test_the_seconds_are_the_vendors():
    """Of the special or the level that takes it; unknown stays unknown."""
    assert (22.0, 60.0, None) == tuple(preview(MENU, amount).seconds for amount in (120, 500, 20))


def test_without_settings_nobody_knows():
    """Unknown is not "no reaction"."""
    assert (Preview(None), Preview(False)) == (preview(None, 20), preview(Menu(), 20))


MENUS = st.builds(
    Menu,
    st.lists(
        st.builds(
            Level,
            st.integers(0, 20),
            st.integers(0, 100),
            st.none() | st.integers(0, 100),
            st.none() | st.floats(0, 100),
            st.none() | st.integers(0, 20),
            st.none() | st.integers(0, 20),
        ),
        max_size=5,
    ).map(tuple),
    st.lists(
        st.builds(
            Special,
            st.text(max_size=5),
            st.integers(1, 100),
            st.none() | st.floats(0, 100),
            st.none() | st.integers(1, 100),
            st.booleans(),
        ),
        max_size=5,
        unique_by=lambda one: one.name,
    ).map(tuple),
)


@given(MENUS)
def test_a_menu_is_kept_without_loss(menu):
    """What a store keeps of it is the whole of it."""
    assert menu == menu_from_json(menu_as_json(menu))


@given(MENUS, st.integers(1, 200))
def test_a_preview_names_what_covers_the_amount(menu, amount):
    """Special or level, never both, and only one that the amount is within."""
    found = preview(menu, amount)
    specials = {one.name for one in menu.specials if one.takes(amount)}
    covering = [one.level for one in menu.levels if one.min <= amount and (one.max is None or amount <= one.max)]
    assert found.reacts is bool(specials or covering)
    assert found.special in (specials or {None})
    assert found.level == (None if specials or not covering else min(covering))


def test_a_menu_has_a_row_for_every_amount():
    """Specials cut levels in two, gaps and open ends are rows, a switched-off special is none."""
    told = [(row.min, row.max, row_as_json(row)["level"] or row_as_json(row)["special"]) for row in rows(MENU)]
    assert [
        (1, 9, 1),
        (10, 19, 2),
        (20, 20, "pulse"),
        (21, 49, 2),
        (50, 59, None),
        (60, 100, 3),
        (101, 119, 4),
        (120, 120, "earthquake"),
        (121, 199, None),
        (200, 300, "giveControl"),
        (301, 499, None),
        (500, None, 10),
    ] == told


@given(MENUS, st.integers(1, 200))
def test_the_rows_say_what_the_preview_says(menu, amount):
    """For every amount one row, and what it does is what a tip would be told."""
    (row,) = [row for row in rows(menu) if row.min <= amount and (row.max is None or amount <= row.max)]
    told, found = row_as_json(row), preview(menu, amount)
    assert found == Preview(told["reacts"], told["level"], told["special"], told["seconds"])


@given(MENUS)
def test_the_rows_leave_no_amount_out(menu):
    """From 1 to no end, each beginning behind the last."""
    told = rows(menu)
    assert (1, None) == (told[0].min, told[-1].max)
    assert all(before.max + 1 == after.min for before, after in pairwise(told))


def test_an_absurd_menu_takes_no_time():
    """A page may claim a thousand overlapping levels; the relay has other pages to serve."""
    menu = Menu(tuple(level(n, 1000 - n, 1000 + n) for n in range(1000)))
    begun = perf_counter()
    assert 1001 <= len(rows(menu)) <= 2001
    assert perf_counter() - begun < 1
