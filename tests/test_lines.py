"""One model's open tips in their order, and what each may become next (design section 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import T0, a_receipt, entry, last_step, steps

from relay.lines import Line
from relay.settings import NO_REACTION_WATCH_SECONDS, SENT_GRACE_SECONDS
from relay.tips import LIFE, Status

TIMES = {"held": False, "grace": 60.0, "busy_until": 0.0, "settle": 3.0}


def waiting_line(*seqs):
    return Line([a_receipt(f"t{n}", seq=n) for n in seqs])


def one(status, **fields):
    """A line with one tip, `t1`, that stands there."""
    return Line([a_receipt(status=status, **fields)])


def went(moved):
    """Which tips took which steps."""
    return [(receipt.tip.id, receipt.status.value) for receipt in moved]


def in_doubt(*others):
    """A line whose tip `t1` was sent and then doubted."""
    line = Line([a_receipt("t1", Status.SENT, seq=1), *others])
    line.doubt(list(line.sent.values()), T0, "nobody can tell")
    return line


def tick(line, seconds, **times):
    return went(line.tick(T0 + seconds, **TIMES | times))


# -- order ----------------------------------------------------------


def test_tips_go_in_the_order_they_were_accepted():
    """Each is given to the page of this generation and journal."""
    line = waiting_line(1, 2)
    first = line.send_next(T0, 7, "j7")
    assert ("t1", "sent", 7, "j7") == (first.tip.id, first.status, first.generation, first.journal)
    assert "t2" == line.send_next(T0, 7, "j7").tip.id
    assert line.send_next(T0, 7, "j7") is None


@given(st.permutations(range(1, 7)), st.integers(0, 6))
def test_what_comes_back_goes_to_its_old_place(order, sent):
    """However many were sent, and in whatever order they come back (facts.md H21)."""
    line = waiting_line(*range(1, 7))
    for _ in range(sent):
        line.send_next(T0, 1, "j1")
    for n in order:
        line.acknowledge(f"t{n}", "not_ready", T0, 1)
    assert [f"t{n}" for n in range(1, 7)] == list(line.waiting)


def test_a_tip_that_would_come_too_late_is_not_sent():
    """It expires in its turn; the one behind it may still go."""
    line = Line([a_receipt("t1", seq=1, expires_in=10), a_receipt("t2", seq=2, expires_in=60)])
    assert ("t1", "expired") == ((late := line.send_next(T0 + 10, 1, "j1")).tip.id, late.status)
    assert ("t2", "sent") == ((next_one := line.send_next(T0 + 10, 1, "j1")).tip.id, next_one.status)


@pytest.mark.parametrize("status", [status for status in Status if status in LIFE])
def test_a_tip_is_in_one_place(status):
    """Whatever its status is, and it counts as open as long as it is."""
    line = one(status)
    parts = (line.waiting, line.sent, line.uncertain, line.called, line.late)
    late = status is Status.NO_REACTION
    assert (len(line), late) == (sum("t1" in part for part in parts) - late, "t1" in line.late)
    assert (line.find("t1") is None) is (not LIFE[status])


# -- what a page says ----------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "path"),
    [
        ("played", ["accepted", "sent", "played"]),
        ("failed", ["accepted", "sent", "failed"]),
        ("interrupted", ["accepted", "sent", "uncertain"]),
        ("not_ready", ["accepted", "sent", "accepted"]),
        ("stale", ["accepted", "sent", "accepted", "expired"]),
    ],
)
def test_an_ack_leads_somewhere(outcome, path):
    """Each outcome of a tip that was given to the page, with the page's word as evidence."""
    moved = one(Status.SENT).acknowledge("t1", outcome, T0 + 1000, 1, "boom")
    assert path == steps(moved[-1])
    assert {"ack": outcome, "generation": 1} in [step.evidence for step in moved[-1].timeline]


@pytest.mark.parametrize(
    ("left", "later", "end"), [(60.0, 60.0, "accepted"), (60.0, 600.0, "expired"), (4.0, 4.0, "expired")]
)
def test_a_page_whose_clock_was_set_ends_no_tip(left, later, end):
    """By the relay's clock there is time left: it goes back into the line, unless a later one may overtake it."""
    tips = [a_receipt("t1", Status.SENT, seq=1, expires_in=left), a_receipt("t2", Status.SENT, seq=2, expires_in=later)]
    assert end == Line(tips).acknowledge("t1", "stale", T0, 1)[-1].status


def test_an_overtaken_doubt_does_not_expire():
    """The page's "too late" proves that it was not played; what becomes of it is somebody's to say."""
    line = Line([a_receipt("t1", Status.UNCERTAIN, seq=1)])
    assert ["uncertain"] == [moved.status for moved in line.acknowledge("t1", "stale", T0 + 99, 1)]


def test_a_refusal_by_an_older_page_says_nothing_of_the_newer_one():
    """Somebody said "replay", and a newer page has the tip: only its own word ends it."""
    line = one(Status.SENT, generation=2)
    assert [] == line.acknowledge("t1", "failed", T0, 1)
    assert [("t1", "played")] == went(line.acknowledge("t1", "played", T0, 2))


def test_a_call_that_runs_is_waited_for():
    """The page says so, and its acknowledgement follows."""
    line = one(Status.SENT)
    assert [] == line.answer({"t1": "calling"}, ["t1"], T0, 1)
    assert [("t1", "played")] == went(line.acknowledge("t1", "played", T0, 1))


def test_a_standing_replay_is_good_for_once():
    """A tip that its page does not survive is held, and the tips behind it go on."""
    line = Line([a_receipt("t1", Status.SENT)], "replay")
    first = line.answer({"t1": "interrupted"}, ["t1"], T0, 1)
    assert ["uncertain", "accepted"] == [moved.status for moved in first]
    line.send_next(T0, 2, "j1")
    assert ["uncertain"] == [moved.status for moved in line.answer({"t1": "interrupted"}, ["t1"], T0, 2)]


@pytest.mark.parametrize("outcome", ["", "nonsense", "duplicate", "PLAYED", "unseen"])
def test_an_ack_that_says_nothing_moves_nothing(outcome):
    """A word that the protocol does not know is no evidence."""
    assert [] == one(Status.SENT).acknowledge("t1", outcome, T0, 1)


def test_a_failure_says_why():
    """The vendor's script's own words."""
    moved = one(Status.SENT).acknowledge("t1", "failed", T0, 1, "toy is asleep")
    assert "toy is asleep" in last_step(moved[-1]).why


def test_a_tip_that_was_played_did_not_fail():
    """Whatever else its acknowledgement carries."""
    assert "boom" not in last_step(one(Status.SENT).acknowledge("t1", "played", T0, 1, "boom")[-1]).why


def test_a_late_ack_of_an_older_page_still_counts():
    """Commands are fenced, evidence is not (rule 4)."""
    line = one(Status.UNCERTAIN, generation=1)
    assert [("t1", "played")] == went(line.acknowledge("t1", "played", T0, 1))
    line = one(Status.SENT, generation=2)
    assert [("t1", "played")] == went(line.acknowledge("t1", "played", T0, 1))


@pytest.mark.parametrize("outcome", ["not_ready", "stale"])
def test_an_older_page_proves_nothing_about_what_a_newer_one_was_given(outcome):
    """That it did not play it says nothing of the other."""
    assert [] == one(Status.SENT, generation=2).acknowledge("t1", outcome, T0, 1)


def test_an_earlier_page_speaks_of_a_tip_that_was_put_back():
    """Somebody said "play it", and then its first page says that it did: it is not played again."""
    line = one(Status.UNCERTAIN)
    line.resolve(line.uncertain["t1"], "replay", T0, "the platform")
    moved = line.acknowledge("t1", "played", T0 + 1, 1)
    assert ["sent", "played"] == steps(moved[-1])[-2:]
    assert line.send_next(T0 + 2, 2, "j2") is None


@pytest.mark.parametrize(
    "status", [Status.PLAYED, Status.QUEUED, Status.RUNNING, Status.NO_REACTION, Status.DONE, Status.CANCELLED]
)
@pytest.mark.parametrize("outcome", ["played", "failed", "not_ready", "stale", "interrupted"])
def test_a_second_word_about_a_known_outcome_changes_nothing(status, outcome):
    """Frames are doubled on bad lines."""
    assert [] == one(status).acknowledge("t1", outcome, T0, 1)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("played", "played"),
        ("failed", "failed"),
        ("unseen", "accepted"),
        ("interrupted", "uncertain"),
        ("nonsense", "uncertain"),
    ],
)
def test_a_journal_answers(word, status):
    """What it has no entry of was not played; what it does not know is in doubt."""
    assert [("t1", status)] == went(one(Status.SENT).answer({"t1": word}, ["t1"], T0, 1))


def test_a_question_left_out_is_doubt():
    """Silence is no proof."""
    assert [("t1", "uncertain")] == went(one(Status.SENT).answer({}, ["t1"], T0, 1))


@pytest.mark.parametrize(("word", "status"), [("played", "played"), ("failed", "failed"), ("unseen", "accepted")])
def test_a_journal_that_comes_back_settles_a_doubt(word, status):
    """Evidence, however late (rule 5)."""
    assert [("t1", status)] == went(in_doubt().answer({"t1": word}, ["t1"], T0, 1))


def test_what_was_overtaken_is_not_put_back_by_a_journal():
    """The order of acceptance is the order of the show: behind its time only somebody's word plays it (rule 3)."""
    line = in_doubt(a_receipt("t2", seq=2))
    line.send_next(T0, 1, "j1")
    assert [("t1", "uncertain")] == went(moved := line.answer({"t1": "unseen"}, ["t1"], T0, 1))
    assert {"journal": "unseen", "generation": 1} == last_step(moved[0]).evidence
    assert [("t1", "accepted")] == went(line.resolve(line.uncertain["t1"], "replay", T0, "the platform"))


def test_a_question_about_what_is_known_moves_nothing():
    """Neither a strange tip nor a finished one."""
    line = one(Status.RUNNING)
    assert [] == line.answer({"t1": "unseen", "t9": "played"}, ["t1", "t9"], T0, 1)


# -- doubt ----------------------------------------------------------


@pytest.mark.parametrize(("policy", "end"), [("hold", "uncertain"), ("replay", "accepted"), ("skip", "cancelled")])
def test_a_doubt_is_held_replayed_or_skipped(policy, end):
    """As the operator chose; the timeline has the doubt either way."""
    line = Line([a_receipt(status=Status.SENT)], policy)
    moved = line.doubt(list(line.sent.values()), T0 + 1, "nobody can tell")
    assert (end, True) == (moved[-1].status, "uncertain" in steps(moved[-1]))


@pytest.mark.parametrize(("choice", "end"), [("played", "played"), ("replay", "accepted"), ("skip", "cancelled")])
def test_somebodys_word_settles_a_doubt(choice, end):
    """And the timeline says whose."""
    line = one(Status.UNCERTAIN)
    (moved,) = line.resolve(line.uncertain["t1"], choice, T0 + 500, "the platform")
    assert (end, f"the platform says: {choice}") == (moved.status, last_step(moved).why)


def test_a_replay_has_all_its_time_again():
    """It was accepted for so many seconds."""
    line = one(Status.UNCERTAIN, expires_in=30)
    (moved,) = line.resolve(line.uncertain["t1"], "replay", T0 + 500, "the platform")
    assert (T0 + 530, T0 + 530) == (moved.expires_at, line.waiting["t1"].expires_at)
    assert [] == tick(line, 529)


def test_the_vendors_word_settles_a_doubt():
    """An entry that nobody else explains is about the tip in doubt (rule 5)."""
    line = one(Status.SENT)
    line.doubt(list(line.sent.values()), T0, "nobody can tell")
    moved = line.found(line.watch.see_running([entry(seconds=5)], T0 + 1), T0 + 1)
    assert [("t1", "played"), ("t1", "running")] == went(moved)


def test_a_doubt_takes_nobodys_evidence():
    """A twin that is known to have been played comes first."""
    line = Line([a_receipt("t1", Status.SENT, seq=1), a_receipt("t2", Status.PLAYED, seq=2)])
    line.doubt(list(line.sent.values()), T0, "nobody can tell")
    assert [("t2", "running")] == went(line.found(line.watch.see_running([entry()], T0), T0))


# -- evidence ----------------------------------------------------------


def test_the_event_may_overtake_the_ack():
    """The vendor speaks of a tip that the page has not acknowledged: it counts with the acknowledgement."""
    line = one(Status.SENT)
    assert [] == line.found(line.watch.see_running([entry(seconds=5)], T0), T0)
    assert [("t1", "played"), ("t1", "running")] == went(line.acknowledge("t1", "played", T0, 1))


def test_an_entry_taken_for_an_unplayed_tip_was_somebody_elses():
    """The page proves that the tip was not played: what the vendor showed is nobody's, and ends nothing."""
    line = one(Status.SENT)
    line.found(line.watch.see_running([entry(seconds=5)], T0), T0)
    assert [("t1", "accepted")] == went(line.acknowledge("t1", "not_ready", T0, 1))
    assert [] == line.found(line.watch.see([], [], 0, T0 + 5), T0 + 5)
    assert ["t1"] == list(line.waiting)


def test_late_evidence_counts():
    """After no_reaction, the vendor speaks all the same."""
    line = one(Status.PLAYED)
    assert [("t1", "no_reaction")] == tick(line, 60)
    assert [("t1", "running")] == went(line.found(line.watch.see_running([entry(seconds=5)], T0 + 70), T0 + 70))
    assert [("t1", "done")] == went(line.found(line.watch.see_running([], T0 + 75), T0 + 75))


def test_evidence_has_an_end():
    """Ten minutes after no_reaction nothing is expected any more."""
    line = one(Status.PLAYED)
    tick(line, 60)
    tick(line, 60 + NO_REACTION_WATCH_SECONDS)
    assert (None, {}) == (line.find("t1"), line.late)
    assert [] == line.found(line.watch.see_running([entry()], T0), T0)


def test_a_tip_put_back_is_not_looked_for():
    """What the vendor shows of its name cannot be it."""
    line = one(Status.SENT)
    line.answer({"t1": "unseen"}, ["t1"], T0, 1)
    assert [] == line.found(line.watch.see_running([entry()], T0), T0)


def test_a_restored_line_goes_on_where_it_stood():
    """After a restart the vendor's next words are understood as before."""
    receipts = [
        a_receipt("t1", Status.RUNNING, seq=1, evidence={"seconds": 5}, tipper="kate"),
        a_receipt("t2", Status.QUEUED, seq=2),
        a_receipt("t3", Status.PLAYED, seq=3),
        a_receipt("t4", Status.SENT, seq=4),
    ]
    line = Line(receipts)
    view = [entry(), entry(), entry()]
    moved = line.found(line.watch.see(view[:1], view[1:], 0, T0 + 5), T0 + 5)
    assert [("t1", "done"), ("t3", "queued"), ("t2", "running")] == went(moved)
    assert [("t4", "played"), ("t4", "queued")] == went(line.acknowledge("t4", "played", T0 + 6, 1))


# -- holding and time ----------------------------------------------------------


def test_waiting_tips_do_not_age_on_hold():
    """The hold's length is added to their time; a tip that came during it has what it was given."""
    line = Line([a_receipt("t1", seq=1, expires_in=60), a_receipt("t2", seq=2, at=T0 + 50, expires_in=60)])
    assert [] == tick(line, 5000, held=True)
    line.release(T0 + 10, T0 + 1000)
    assert [T0 + 1050, T0 + 1060] == [receipt.expires_at for receipt in line.waiting.values()]
    assert [("t1", "expired")] == tick(line, 1050)


def test_a_waiting_tip_expires_on_time():
    """Not a moment before."""
    assert ([], [("t1", "expired")]) == (tick(one(Status.ACCEPTED), 119.9), tick(one(Status.ACCEPTED), 120))


def test_a_tip_that_was_sent_and_never_spoken_of_is_in_doubt():
    """Past its deadline and a grace: time alone does not say whether it was played."""
    due = 120 + SENT_GRACE_SECONDS
    assert ([], [("t1", "uncertain")]) == (tick(one(Status.SENT), due - 0.1), tick(one(Status.SENT), due))


def test_no_reaction_waits_for_the_vendors_queue():
    """As long as the queue explains why nothing came, nobody gives up."""
    line = one(Status.PLAYED)
    assert [] == tick(line, 60, busy_until=T0 + 30)
    assert [("t1", "no_reaction")] == tick(line, 90, busy_until=T0 + 30)


def test_what_runs_long_over_its_time_is_done():
    """The vendor showed it running, and did not say when it went."""
    line = one(Status.RUNNING, evidence={"seconds": 5})
    assert ([], [("t1", "done")]) == (tick(line, 64.9), tick(line, 65))


@pytest.mark.parametrize("status", [Status.UNCERTAIN])
def test_doubt_does_not_end_with_time(status):
    """Only with evidence or somebody's word (rule 5)."""
    assert [] == tick(one(status), 10**6)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("held", [True, False])
def test_nothing_happens_before_it_is_due(status, held):
    """`next_due` never comes too late: before it, `tick` has nothing to say."""
    line = one(status, evidence={"seconds": 5})
    due = line.next_due(held=held, grace=60.0, settle=3.0)
    assert [] == tick(line, (min(due, T0 + 10**6) - T0) - 0.01, held=held)
    assert due == line.next_due(held=held, grace=60.0, settle=3.0)
    if due < float("inf"):
        quiet = status in (Status.SENT, Status.NO_REACTION)  # the page is asked; nobody listens any more
        assert tick(line, due - T0, held=held) or quiet


def test_a_cancelled_tip_is_gone():
    """And its record says who took it back."""
    line = one(Status.ACCEPTED)
    moved = line.cancel(line.waiting["t1"], T0, "the platform took it back")
    assert ("cancelled", None, 0) == (moved.status, line.find("t1"), len(line))
