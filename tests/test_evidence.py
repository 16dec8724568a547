"""What the vendor's queue views prove about tips: first in, first out, by name and amount (facts.md H27-H37)."""

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from unit_kit import entry

from relay.evidence import Watch
from relay.tips import LIFE, Status

SETTLE = 3.0


class Show:
    """A watch, and what it has found of each tip."""

    def __init__(self, *tips, name="john", amount=20):
        self.watch = Watch()
        self.found = {}
        self.at = 100.0
        for tip in tips:
            self.watch.add(tip, name, amount)

    def _note(self, findings):
        told = [(one.tip, one.status.value) for one in findings]
        for tip, status in told:
            self.found.setdefault(tip, []).append(status)
        return told

    def see(self, running=(), queued=(), waiting=0):
        return self._note(self.watch.see(running, queued, waiting, self.at))

    def runs(self, *running):
        return self._note(self.watch.see_running(running, self.at))

    def tick(self, seconds=SETTLE):
        self.at += seconds
        return self._note(self.watch.tick(self.at, SETTLE))

    def end(self, why="the page was reloaded"):
        return self._note(self.watch.end(self.at, why))


J = entry("john", 20)
K = entry("kate", 5)


def test_a_tip_is_followed_to_its_end():
    """Queued, running, then gone: done."""
    show = Show("t1")
    assert [("t1", "queued")] == show.see(queued=[J])
    assert [("t1", "running")] == show.see(running=[J])
    assert [("t1", "done")] == show.see()


def test_a_tip_may_run_at_once():
    """Nothing is before it, so the queue never shows it."""
    show = Show("t1")
    assert [("t1", "running")] == show.runs(J)
    assert [] == show.see(running=[J])
    assert [("t1", "done")] == show.runs()


def test_the_vendors_words_may_come_in_either_order():
    """`tipRunning` before or after the `tipQueueStatus` that says the same (facts.md H28)."""
    for views in ([Show.runs, Show.see], [Show.see, Show.runs]):
        show = Show("t1")
        show.see(queued=[J])
        for view in views:
            view(show, J) if view is Show.runs else view(show, [J])
        show.see()
        assert ["queued", "running", "done"] == show.found["t1"]


def test_a_repeated_view_proves_nothing_new():
    """The vendor says things twice."""
    show = Show("t1", "t2")
    show.see(running=[J], queued=[J])
    assert [] == [*show.see(running=[J], queued=[J]), *show.runs(J), *show.runs(J)]


def test_the_evidence_names_what_was_seen():
    """Who, how much, and how the toy reacts."""
    show = Show("t1")
    (found,) = show.watch.see([entry(seconds=6, level=2)], [], 0, 1.0)
    assert {"tipper": "john", "amount": 20, "level": 2, "special": None, "seconds": 6} == found.evidence


# -- twins ----------------------------------------------------------


def test_twins_are_two():
    """Same name, same amount: the hand-over is seen by their place, not by their content (facts.md H29)."""
    show = Show("t1", "t2")
    assert [("t2", "queued"), ("t1", "running")] == show.see([J], [J])
    assert [("t1", "done"), ("t2", "running")] == show.see([J])
    assert [("t2", "done")] == show.see()


def test_twins_run_together_on_two_toys():
    """Both entries run, each ends."""
    show = Show("t1", "t2")
    show.see([J, J])
    assert [("t1", "done")] == show.see([J])
    assert [("t2", "done")] == show.see()


def test_a_later_twin_waits_for_its_own_entry():
    """It is not the entry of the one before it."""
    show = Show("t1")
    show.see([J])
    show.watch.add("t2", "john", 20)
    assert [] == show.see([J])
    assert [("t2", "queued")] == show.see([J], [J])


def test_a_name_and_an_amount_are_the_key():
    """Another amount, or another spelling of the name, is another tip."""
    show = Show("t1")
    assert [] == show.see([entry("john", 21), entry("John", 20), entry("john", None)])
    assert [("t1", "running")] == show.runs(J)


# -- entries nobody here sent ----------------------------------------------------------


def test_an_external_entry_steals_nothing():
    """A test from the settings page is nobody's tip (facts.md H30)."""
    show = Show("t1")
    assert [] == show.see([K], [K])
    assert [None, None] == show.watch.tips_of([K, K])
    assert [] == show.see()
    assert [("t1", "running")] == show.runs(J)


def test_an_external_entry_that_came_first_keeps_its_place():
    """A tip called later is a later entry."""
    show = Show()
    show.see([J])
    show.watch.add("t1", "john", 20)
    assert [] == show.see([J])
    assert [("t1", "queued")] == show.see([J], [J])
    assert [None, "t1"] == show.watch.tips_of([J, J])


def test_the_entries_of_a_view_are_told_by_tip():
    """In the order of the view, running ones first."""
    show = Show("t1", "t2")
    show.watch.add("t3", "kate", 5)
    show.see([J], [K, J])
    assert ["t1", "t3", "t2", None] == show.watch.tips_of([J, K, J, J])


def test_an_echoed_id_is_preferred():
    """If the vendor gives our id back, it decides among twins (facts.md 1.6)."""
    show = Show("t1", "t2")
    assert [("t2", "running")] == show.runs(entry(echo="t2"))


def test_a_foreign_echo_changes_nothing():
    """Somebody else's id is no reason to skip a tip."""
    show = Show("t1")
    assert [("t1", "running")] == show.runs(entry(echo="other"))


# -- gone before it ran ----------------------------------------------------------


def test_a_clear_sweeps_what_waited():
    """All at once, and no later tip in sight: cleared, once a late word is no longer to come."""
    show = Show("t1", "t2", "t3")
    show.see([J], [J, J])
    assert [("t1", "done")] == show.see()
    assert [] == show.tick(SETTLE - 0.1)
    assert [("t2", "cleared"), ("t3", "cleared")] == show.tick(0.1)
    assert show.watch.next_due(SETTLE) is None


def test_a_clear_is_due_after_a_while():
    """When `tick` has something to say."""
    show = Show("t1")
    show.see(queued=[J])
    show.see()
    assert show.at + SETTLE == show.watch.next_due(SETTLE)


def test_a_tip_that_left_the_queue_may_run_a_moment_later():
    """The queue's view came before the running one: it is neither cleared nor done."""
    show = Show("t1")
    show.see(queued=[J])
    show.see()
    assert [("t1", "running")] == show.runs(J)
    assert [] == show.tick()


def test_a_tip_that_had_its_turn_between_two_views_is_done():
    """A later tip is in sight, and the vendor plays in order."""
    show = Show("t1")
    show.watch.add("t2", "kate", 5)
    show.see(queued=[J, K])
    assert [("t2", "running"), ("t1", "done")] == show.see([K])


def test_after_a_clear_a_new_twin_is_itself():
    """What waits in the queue cannot be what has left it."""
    show = Show("t1")
    show.see(queued=[J])
    show.see()
    show.watch.add("t2", "john", 20)
    assert [("t2", "queued")] == show.see(queued=[J])
    assert [("t1", "cleared")] == show.tick()


def test_a_pause_with_waiting_entries_clears_nothing():
    """The vendor set them aside without telling which (facts.md H37)."""
    show = Show("t1", "t2")
    show.see([J], [J])
    assert [("t1", "done")] == show.see(waiting=1)
    assert [] == show.tick(60)
    assert [("t2", "running")] == show.see([J])


def test_a_clear_ends_a_pause():
    """Nothing in the queue and nothing set aside any more."""
    show = Show("t1")
    show.see(queued=[J])
    show.see(waiting=1)
    show.see()
    assert [("t1", "cleared")] == show.tick()


# -- the page goes ----------------------------------------------------------


@pytest.mark.parametrize(("ran", "status"), [(5.0, "done"), (4.9, "cleared")])
def test_a_reload_ends_what_ran(ran, status):
    """Done if it had run its time, else swept away."""
    show = Show("t1")
    show.runs(entry(seconds=5))
    show.at += ran
    assert [("t1", status)] == show.end()


def test_a_reload_sweeps_the_queue():
    """What waited there, and what had just left it; what the vendor never showed stays open."""
    show = Show("t1", "t2", "t3")
    show.watch.add("t4", "kate", 5)
    show.see([entry(seconds=None)], [J, K])
    show.see([entry(seconds=None)], [J])
    assert {("t1", "cleared"), ("t2", "cleared"), ("t4", "cleared")} == set(show.end())
    assert [] == show.end()


def test_after_a_reload_an_entry_is_about_a_new_call():
    """The vendor's queue began anew: an older call, never shown, is only taken when no new one explains the entry."""
    show = Show("t1")
    show.end()
    show.watch.add("t2", "john", 20)
    assert [("t2", "running")] == show.runs(J)
    assert [("t1", "queued")] == show.see([J], [J])


def test_a_tip_without_reaction_takes_what_nobody_else_explains():
    """Late evidence counts, behind everybody else's."""
    show = Show("t1", "t2")
    show.watch.demote("t1")
    assert [("t2", "running")] == show.runs(J)
    assert [("t1", "queued")] == show.see([J], [J])


def test_a_dropped_tip_is_nobodys():
    """It no longer waits for evidence."""
    show = Show("t1")
    show.watch.drop("t1")
    assert [] == show.runs(J)


def test_a_tip_is_added_once():
    """Placing it twice does not make it two."""
    show = Show("t1", "t1")
    assert [("t1", "running")] == show.see([J, J])


def test_a_restored_tip_goes_on():
    """The relay was started again while the vendor's queue was full."""
    show = Show()
    show.watch.restore("t1", "john", 20, running=True, since=90.0, seconds=5)
    show.watch.restore("t2", "john", 20, running=False, since=95.0, seconds=None)
    assert [("t1", "done"), ("t2", "running")] == show.see([J])


# -- a vendor, simulated ----------------------------------------------------------


class Vendor(RuleBasedStateMachine):
    """A first-in-first-out vendor with twins, externals, clears, pauses and views that get lost.

    Whatever of it the watch gets to see, every tip takes only steps of its life, and in the end none is open.
    """

    @initialize()
    def start(self):
        self.watch, self.at, self.made = Watch(), 100.0, 0
        self.running, self.queue, self.aside = [], [], []  # (tip or None, name)
        self.status, self.truth = {}, {}

    # what the watch says must be a walk through the tip's life

    def note(self, findings):
        for one in findings:
            assert one.status in LIFE[self.status[one.tip]], f"{one.tip}: {self.status[one.tip]} -> {one.status}"
            self.status[one.tip] = one.status

    def view(self):
        return [entry(name, 1, seconds=5) for _, name in self.running], [entry(name, 1) for _, name in self.queue]

    # what happens at the vendor

    @rule(name=st.sampled_from("ab"))
    def tip(self, name):
        self.made += 1
        tip = f"t{self.made}"
        self.status[tip] = Status.PLAYED
        self.watch.add(tip, name, 1)
        self.queue.append((tip, name))

    @rule(name=st.sampled_from("abx"))
    def external(self, name):
        self.queue.append((None, name))

    @precondition(lambda self: self.queue and len(self.running) < 2)
    @rule()
    def begins(self):
        self.running.append(self.queue.pop(0))

    @precondition(lambda self: self.running)
    @rule()
    def ends(self):
        tip, _ = self.running.pop(0)
        self.truth[tip] = "done"

    @rule()
    def clear(self):
        self.queue, self.aside = [], []

    @rule()
    def pause(self):
        self.aside, self.queue = self.aside + self.queue, []

    @rule()
    def goes_on(self):
        self.queue, self.aside = self.aside + self.queue, []

    @rule()
    def reload(self):
        self.running, self.queue, self.aside = [], [], []
        self.note(self.watch.end(self.at, "the page was reloaded"))

    # what gets through

    @rule()
    def shows_queue(self):
        running, queued = self.view()
        self.note(self.watch.see(running, queued, len(self.aside), self.at))

    @rule()
    def shows_running(self):
        self.note(self.watch.see_running(self.view()[0], self.at))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0]))
    def time_goes_by(self, seconds):
        self.at += seconds
        self.note(self.watch.tick(self.at, SETTLE))

    @invariant()
    def no_tip_is_two_entries(self):
        running, queued = self.view()
        shown = [tip for tip in self.watch.tips_of([*running, *queued]) if tip]
        assert len(shown) == len(set(shown))

    def teardown(self):
        """Everything runs out, and the vendor says so: whatever it ever showed has an end."""
        self.queue = self.aside = self.running = []
        self.shows_queue()
        self.time_goes_by(SETTLE)
        left = set(self.status.values()) - {Status.PLAYED, Status.DONE, Status.CLEARED}
        assert not left, self.status


class FaithfulVendor(RuleBasedStateMachine):
    """Every change at the vendor is shown, and no stranger has our tippers' names: then the watch knows all."""

    @initialize()
    def start(self):
        self.watch, self.at, self.made = Watch(), 100.0, 0
        self.running, self.queue = [], []
        self.status, self.truth = {}, {}

    def note(self, findings):
        for one in findings:
            assert one.status in LIFE[self.status[one.tip]]
            self.status[one.tip] = one.status

    def show(self):
        self.at += 0.01
        running = [entry(name, 1, seconds=5) for _, name in self.running]
        self.note(self.watch.see(running, [entry(name, 1) for _, name in self.queue], 0, self.at))

    @rule(name=st.sampled_from("ab"))
    def tip(self, name):
        self.made += 1
        self.status[tip := f"t{self.made}"] = Status.PLAYED
        self.watch.add(tip, name, 1)
        self.queue.append((tip, name))
        self.truth[tip] = Status.QUEUED
        self.show()

    @rule()
    def external(self):
        self.queue.append((None, "x"))
        self.show()

    @precondition(lambda self: self.queue and not self.running)
    @rule(early=st.booleans())
    def begins(self, early):
        self.running = [self.queue.pop(0)]
        self.truth[self.running[0][0]] = Status.RUNNING
        if early:  # `tipRunning` overtakes `tipQueueStatus`
            self.note(self.watch.see_running([entry(self.running[0][1], 1, seconds=5)], self.at))
        self.show()

    @precondition(lambda self: self.running)
    @rule(hand_over=st.booleans())
    def ends(self, hand_over):
        self.truth[self.running.pop()[0]] = Status.DONE
        if hand_over and self.queue:  # one view for the end of this and the beginning of the next
            self.running = [self.queue.pop(0)]
            self.truth[self.running[0][0]] = Status.RUNNING
        self.show()

    @precondition(lambda self: not self.running)
    @rule()
    def clear(self):
        for tip, _ in self.queue:
            self.truth[tip] = Status.CLEARED
        self.queue = []
        self.show()
        self.at += SETTLE
        self.note(self.watch.tick(self.at, SETTLE))

    @invariant()
    def the_watch_knows(self):
        self.truth.pop(None, None)
        assert self.truth == self.status


VendorTest = Vendor.TestCase
VendorTest.settings = hypothesis_settings(max_examples=150, stateful_step_count=30, deadline=None)
FaithfulVendorTest = FaithfulVendor.TestCase
FaithfulVendorTest.settings = hypothesis_settings(max_examples=100, stateful_step_count=25, deadline=None)
