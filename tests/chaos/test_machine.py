"""(a) The seven rules under every order of events that Hypothesis can think of, with a clock that ticks."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.chaos.checker import judge
from tests.chaos.shim_model import PAGE_STEPS
from tests.chaos.world import MODEL, World


class RelayMachine(RuleBasedStateMachine):
    """What platforms, pages, disks and operators do, in any order. The verdict falls at the end."""

    controls: ClassVar[dict[str, bool]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.world = World(**self.controls)
        self.posted = 0

    @rule(count=st.integers(1, 3), expires_in=st.sampled_from([60.0, 60.0, 3.0]))
    def tips_come(self, count: int, expires_in: float) -> None:
        for _ in range(count):
            self.posted += 1
            self.world.post(self.posted, expires_in=expires_in)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def a_tip_is_posted_again(self, data: st.DataObject) -> None:
        self.world.post(data.draw(st.integers(1, self.posted)))

    @rule(count=st.integers(1, 4))
    def the_disk_keeps(self, count: int) -> None:
        self.world.store.commit(count)
        self.world.settle()

    @rule()
    def the_disk_keeps_everything(self) -> None:
        self.world.store.commit()
        self.world.settle()

    @rule()
    def the_disk_fails(self) -> None:
        self.world.store.fail()
        self.world.settle()

    @rule(browser=st.sampled_from([0, 0, 0, 1]))
    def a_page_is_opened(self, browser: int) -> None:
        self.world.open(browser)
        self.world.store.commit()
        self.world.settle()

    @precondition(lambda self: self.world.wires)
    @rule(data=st.data())
    def a_page_comes_back(self, data: st.DataObject) -> None:
        """Its socket was lost, the page lives on: it returns with its resume token."""
        wire = data.draw(st.sampled_from(self.world.wires[-3:]))
        if wire.dead or wire.code == 4001 or wire.page.resume is None:
            return
        self.world.cut(wire)
        wire.dead = True  # this wire is done with; the page goes on over another one
        self.world.connect(wire.page)

    @precondition(lambda self: self.world.wires)
    @rule(data=st.data(), count=st.integers(1, 4))
    def a_page_reads(self, data: st.DataObject, count: int) -> None:
        wire = data.draw(st.sampled_from(self.world.wires[-3:]))
        for _ in range(count):
            self.world.page_reads(wire)

    @precondition(lambda self: self.world.wires)
    @rule(data=st.data(), count=st.integers(1, 4))
    def the_relay_hears(self, data: st.DataObject, count: int) -> None:
        wire = data.draw(st.sampled_from(self.world.wires[-3:]))
        for _ in range(count):
            self.world.relay_hears(wire)

    @precondition(lambda self: self.world.wires)
    @rule()
    def everything_flows(self) -> None:
        for _ in range(3):
            for wire in self.world.wires[-3:]:
                self.world.page_reads(wire)
                self.world.relay_hears(wire)
            self.world.store.commit()
            self.world.settle()
        self.world.obey_closes()

    @precondition(lambda self: self.world.wires)
    @rule(data=st.data())
    def a_socket_is_lost(self, data: st.DataObject) -> None:
        self.world.cut(data.draw(st.sampled_from(self.world.wires[-3:])))

    @precondition(lambda self: self.world.wires)
    @rule(step=st.sampled_from(PAGE_STEPS))
    def a_page_will_die(self, step: str) -> None:
        self.world.doomed = step

    @precondition(lambda self: self.world.wires)
    @rule(data=st.data())
    def the_vendor_goes_on(self, data: st.DataObject) -> None:
        self.world.vendor_goes_on(data.draw(st.sampled_from(self.world.wires[-3:])))

    @rule(seconds=st.sampled_from([0.3, 0.3, 2.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule()
    def the_relay_is_killed(self) -> None:
        self.world.kill()

    @rule(stop=st.booleans())
    def tips_are_held(self, stop: bool) -> None:
        self.world.start(self.world.desk.hold(MODEL, stop=stop, who="the platform"))

    @rule()
    def tips_are_released(self) -> None:
        self.world.start(self.world.desk.release(MODEL))

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def a_tip_is_taken_back(self, data: st.DataObject) -> None:
        self.world.start(self.world.desk.cancel(f"t{data.draw(st.integers(1, self.posted))}"))

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), choice=st.sampled_from(["played", "replay", "skip"]))
    def doubt_is_settled(self, data: st.DataObject, choice: str) -> None:
        tip = f"t{data.draw(st.integers(1, self.posted))}"
        self.world.start(self.world.desk.resolve(tip, choice, "the platform"))

    def teardown(self) -> None:
        try:
            verdict = judge(self.world.finish())
        finally:
            self.world.close()
        assert verdict.holds, str(verdict)


PROOF = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
CONTROL = settings(PROOF, max_examples=1500, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)


@pytest.mark.timeout(180)
def test_the_seven_rules_hold_in_any_order_of_events() -> None:
    """No order of posts, pages, deaths, disks and orders loses a tip, doubles one, or leaves a doubt unexplained."""
    run_state_machine_as_test(RelayMachine, settings=PROOF)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("control", [{"journal": False}, {"fence": False}, {"early": True}], ids=str)
def test_the_machine_catches_what_is_left_out(control: dict[str, bool]) -> None:
    """Negative control: without the journal, the generation check, or the commit before the 202, it finds the fault."""
    broken = type("Broken", (RelayMachine,), {"controls": control})
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=CONTROL)
