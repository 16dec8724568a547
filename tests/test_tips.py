"""A tip's life is one table, and a tip is read strictly (facts.md H4, H5)."""

from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import T0, a_receipt, a_tip

from relay.errors import Invalid
from relay.settings import AMOUNT_MAX, MODEL_ID_LENGTH_MAX, TIP_ID_LENGTH_MAX
from relay.tips import LIFE, OPEN, IllegalMove, Status, Tip, accept, extend, move, read_tip, receipt_as_json, shown
from relay.values import EXPIRES_IN_SECONDS_MAX

# Design section 4, "leaves to", word for word, and the two arrows that a late journal adds to `uncertain`.
ARROWS = {
    "accepted": "sent expired cancelled",
    "sent": "played accepted failed expired uncertain",
    "played": "queued running done cleared no_reaction",
    "queued": "running done cleared",
    "running": "done cleared",
    "done": "",
    "no_reaction": "queued running done",
    "cleared": "",
    "expired": "",
    "cancelled": "",
    "failed": "",
    "uncertain": "played accepted cancelled failed",
}
PAIRS = [(a, b) for a, b in product(Status, Status)]
BODY = {"id": "t1", "model": "coco", "tipper": "john", "amount": 20}


def read(key=None, amount_max=AMOUNT_MAX, **fields):
    body = {name: value for name, value in (BODY | fields).items() if value is not ...}
    return read_tip(body, anonymous_name="Anonymous", ttl=120.0, key=key, amount_max=amount_max)


def refused(**fields):
    with pytest.raises(Invalid) as refusal:
        read(**fields)
    assert refusal.value.detail.encode()
    return refusal.value.extra["field"]


@pytest.mark.parametrize(("a", "b"), [(a, b) for a, b in PAIRS if b in ARROWS[a].split()])
def test_every_arrow_can_be_walked(a, b):
    """The step is written with its time, cause and evidence."""
    moved = move(a_receipt(status=a), b, T0 + 5, "because", {"n": 1})
    assert (b, T0 + 5, "because", {"n": 1}) == (
        moved.status,
        moved.timeline[-1].at,
        moved.timeline[-1].why,
        moved.timeline[-1].evidence,
    )


@pytest.mark.parametrize(("a", "b"), [(a, b) for a, b in PAIRS if b not in ARROWS[a].split()])
def test_no_other_arrow_can(a, b):
    """A step that the table does not know is a bug, and says which."""
    with pytest.raises(IllegalMove, match=f"{a} does not lead to {b}"):
        move(a_receipt(status=a), b, T0, "because")


def test_the_table_names_every_status():
    """All twelve, and what is closed leads nowhere except by late evidence."""
    assert set(ARROWS) == set(LIFE) == {status.value for status in Status}
    assert {Status.NO_REACTION} == {status for status in Status if status not in OPEN and LIFE[status]}


def test_a_receipt_is_not_changed_by_a_step():
    """Facts are frozen: the receipt before the step stays what it was."""
    before = a_receipt()
    move(before, Status.SENT, T0, "because")
    assert Status.ACCEPTED == before.status


def test_a_longer_deadline_is_in_the_timeline():
    """The status stays, the step says until when."""
    receipt = extend(accept(a_tip(), T0), T0 + 500, T0 + 9, "held")
    assert (Status.ACCEPTED, T0 + 500) == (receipt.status, receipt.expires_at)
    assert {"expires_at": "2023-11-14T22:21:40.000Z"} == receipt.timeline[-1].evidence


def test_a_receipt_tells_its_story():
    """What `GET /tips/{id}` shows, with the real name and the alias beside it."""
    told = receipt_as_json(accept(a_tip(shown="Anonymous", anonymous=True), T0))
    assert ("accepted", "john", "Anonymous", 20) == tuple(
        told[name] for name in ("status", "tipper", "shown_as", "amount")
    )
    assert [
        {"status": "accepted", "at": "2023-11-14T22:13:20.000Z", "why": "the platform posted it", "evidence": None}
    ] == told["timeline"]


# -- amounts ----------------------------------------------------------


@pytest.mark.parametrize("amount", [20, 20.0, "20", "20.0", "20.00", "0020"])
def test_a_whole_amount_is_taken_however_it_is_written(amount):
    """`20`, `20.0` and `"20"` are 20, a whole number."""
    found = read(amount=amount).amount
    assert (20, int) == (found, type(found))


@pytest.mark.parametrize(
    "amount",
    [
        *(
            True,
            False,
            None,
            ...,
            0,
            -5,
            0.5,
            1e21,
            "12abc",
            "",
            " 20",
            "20 ",
            "+20",
            "-20",
            "2e1",
            "20.",
            "20.5",
            ".0",
        ),
        *(
            "1_000",
            "٢٠",
            "0",
            "0.0",
            [20],
            {"n": 20},
            float("nan"),
            float("inf"),
            float("-inf"),
            2**53,
            "9007199254740992",
        ),
        10**300,
        "9" * 5000,
    ],
)
def test_anything_else_is_not_an_amount(amount):
    """Bools, fractions, junk and what a JavaScript number cannot count are refused by name."""
    assert "amount" == refused(amount=amount)


def test_the_greatest_amount_is_what_javascript_counts():
    """2^53 - 1, unless the operator says less."""
    assert 2**53 - 1 == read(amount=2**53 - 1).amount
    assert "amount" == refused(amount=101, amount_max=100)


@given(st.integers(1, AMOUNT_MAX))
def test_an_amount_survives_its_spellings(amount):
    """As number, as text, as text with zeros."""
    assert {amount} == {read(amount=amount).amount, read(amount=str(amount)).amount, read(amount=f"{amount}.00").amount}


# -- ids ----------------------------------------------------------


@pytest.mark.parametrize("id", ["t1", "0017", "x" * TIP_ID_LENGTH_MAX, "cb_1755376903836-0", 17, "a/b+c=#?"])
def test_the_platforms_own_id_is_taken(id):
    """Visible ASCII of any kind, and whole numbers as text."""
    assert str(id) == read(id=id).id


@pytest.mark.parametrize(
    "id", [..., None, "", "0", 0, True, 1.5, "x" * 129, "a b", "a\nb", "\u00e9", "a\x00", ["t1"], {"a": 1}, 10**300]
)
def test_no_id_or_a_bad_one_is_refused(id):
    """`0` is what some sources send for every test: as a key it would make all of them one."""
    assert "id" == refused(id=id)


def test_the_id_may_come_as_idempotency_key():
    """Alone, quoted as the header draft has it, or the same as in the body."""
    assert ["t9"] * 4 == [
        read(id=..., key="t9").id,
        read(id=..., key='"t9"').id,
        read(id="t9", key="t9").id,
        read(id="t9", key=' "t9" ').id,
    ]
    assert "17" == read(id=17, key="17").id


@pytest.mark.parametrize(("id", "key"), [("t1", "t2"), (..., ""), (..., '""'), (..., "0"), (17, "018"), (10**300, "k")])
def test_a_key_that_disagrees_is_refused(id, key):
    """Two names for one tip are one too many."""
    assert "id" == refused(id=id, key=key)


# -- models, names, flags, deadlines ----------------------------------------------------------


@pytest.mark.parametrize("model", ["coco", "7", "a.b_c~d@e:f+g=h-i", "x" * MODEL_ID_LENGTH_MAX])
def test_a_model_id_is_taken(model):
    assert model == read(model=model).model


@pytest.mark.parametrize("model", [..., None, "", 7, "-coco", ".", "a/b", "a b", "cocö", "coco\n", "x" * 129, ["coco"]])
def test_a_model_id_that_cannot_stand_in_a_path_is_refused(model):
    assert "model" == refused(model=model)


@pytest.mark.parametrize("tipper", [..., None, "", " \u200b\n", 69, ["john"], True, "\u3164"])
def test_a_tip_without_a_visible_name_is_refused(tipper):
    """Nothing left after cleaning is nothing."""
    assert "tipper" == refused(tipper=tipper)


def test_a_name_is_cleaned_on_the_way_in():
    """The same string goes to the vendor, the feed and the correlation."""
    tip = read(tipper="  jo\u202ehn\n")
    assert ("john", "john") == (tip.tipper, tip.shown)


def test_an_anonymous_tip_shows_the_alias():
    """The real name stays in the ledger, and may be left out altogether (facts.md H7)."""
    tip = read(anonymous=True)
    assert ("john", "Anonymous", True) == (tip.tipper, tip.shown, tip.anonymous)
    assert ("", "Anonymous") == (read(anonymous=True, tipper=None).tipper, read(anonymous=True, tipper=None).shown)


@pytest.mark.parametrize("field", ["anonymous", "private"])
@pytest.mark.parametrize("value", [1, 0, "true", "yes", "", [], 1.0])
def test_a_flag_is_true_or_false(field, value):
    """A privacy flag is not guessed."""
    assert field == refused(**{field: value})


def test_a_flag_left_out_or_null_is_false():
    """Absent and null are alike."""
    assert (False, False) == (read().private, read(private=None).private)


@pytest.mark.parametrize("value", [0.001, 1, 45.5, EXPIRES_IN_SECONDS_MAX])
def test_a_deadline_is_seconds(value):
    """Up to a day; a tip without one has the relay's own."""
    assert (float(value), 120.0) == (read(expires_in=value).expires_in, read().expires_in)


@pytest.mark.parametrize(
    "value", [0, -1, True, "60", [], EXPIRES_IN_SECONDS_MAX + 1, float("nan"), float("inf"), 10**308]
)
def test_a_deadline_that_is_no_time_is_refused(value):
    assert "expires_in" == refused(expires_in=value)


@pytest.mark.parametrize("body", [None, [], "tip", 5, True, [BODY]])
def test_a_tip_must_be_an_object(body):
    """And the refusal shows what came instead."""
    with pytest.raises(Invalid, match="must be a JSON object"):
        read_tip(body, anonymous_name="A", ttl=1)


def test_unknown_fields_are_ignored():
    """A platform may send more than is asked for."""
    assert read() == read(currency="tk", message="hi")


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({}, True),
        ({"shown": "Somebody", "expires_in": 5.0}, True),
        ({"amount": 21}, False),
        ({"tipper": "jane"}, False),
        ({"model": "mia"}, False),
        ({"anonymous": True}, False),
        ({"private": True}, False),
        ({"id": "t2"}, False),
    ],
)
def test_a_retry_brings_the_same_order(fields, same):
    """Its remaining time and the alias in use may differ, nothing else."""
    assert same is a_tip(**{"shown": "john"} | fields).same_order(a_tip())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_an_error_quotes_a_value_short_and_printable(value):
    """Whatever the value was."""
    assert len(shown(value)) <= 60
    assert shown(value).encode().decode().isprintable()


@given(
    st.dictionaries(
        st.sampled_from([*BODY, "private", "expires_in"]), st.none() | st.text() | st.floats() | st.integers()
    )
)
def test_reading_gives_a_tip_or_a_refusal(fields):
    """Never anything else, whatever the fields hold."""
    with suppress(Invalid):
        assert 1 <= read(**fields).amount <= AMOUNT_MAX


def test_a_tip_that_goes_and_comes_back_again_and_again_tells_so_once():
    """A page that turns a tip away for hours does not make its timeline grow."""
    receipt = accept(Tip("t1", "coco", "john", 20), 0.0)
    for round in range(500):
        receipt = move(receipt, Status.SENT, float(round), "given to the page")
        receipt = move(receipt, Status.ACCEPTED, float(round), "not ready", {"generation": 1})
    assert [Status.ACCEPTED, Status.SENT, Status.ACCEPTED] == [step.status for step in receipt.timeline]
    assert {"generation": 1, "times": 500} == receipt.timeline[-1].evidence
