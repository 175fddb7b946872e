"""Jobs report their progress and stop when asked to."""

from __future__ import annotations

import pytest

from napari_lesion.core.jobs import CancelToken, JobCancelled, JobContext, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_remaining_time_follows_the_pace_of_the_stage() -> None:
    clock, seen = Clock(), list[Progress]()
    ctx = JobContext(report=seen.append, clock=clock)
    ctx.step("Reading", 0, 4)
    clock.now = 100.0
    ctx.step("Searching", 0, 10)
    clock.now = 106.0
    ctx.step("Searching", 3, 10)
    assert seen[0].remaining_s is None
    assert seen[1].remaining_s is None
    assert seen[2].remaining_s == pytest.approx(14.0)
    assert seen[2].fraction == pytest.approx(0.3)


def test_a_stage_that_starts_in_the_middle_counts_from_there() -> None:
    clock, seen = Clock(), list[Progress]()
    ctx = JobContext(report=seen.append, clock=clock)
    ctx.step("Searching", 5, 10)
    clock.now = 2.0
    ctx.step("Searching", 6, 10)
    assert seen[-1].remaining_s == pytest.approx(8.0)


def test_remaining_time_follows_a_load_that_changes_and_forgets_a_slow_start() -> None:
    clock, seen = Clock(), list[Progress]()
    ctx = JobContext(report=seen.append, clock=clock)
    for done, seconds in enumerate([0.0, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]):
        clock.now += seconds
        ctx.step("Searching", done, 16)
    assert seen[1].remaining_s == pytest.approx(9.0 * 15)
    assert [seen[done].remaining_s for done in (3, 6, 12)] == pytest.approx([1.0 * 13, 1.0 * 10, 4.0 * 4])


def test_steps_that_say_the_same_again_change_no_pace() -> None:
    clock, seen = Clock(), list[Progress]()
    ctx = JobContext(report=seen.append, clock=clock)
    for now, done in [(0.0, 0), (2.0, 1), (4.0, 2), (5.0, 2)]:
        clock.now = now
        ctx.step("Searching", done, 4)
    assert seen[-1].remaining_s == pytest.approx((5.0 - 2.0) * 2)


def test_what_lies_between_parts_is_no_pace_and_comes_again() -> None:
    """Three passes of four windows of a second, and five seconds of work after each."""
    clock, seen = Clock(), dict[int, Progress]()
    ctx = JobContext(report=lambda progress: seen.update({progress.done: progress}), clock=clock)
    for part in range(3):
        for done in range(5):
            ctx.step("Searching", 4 * part + done, 12, 3)
            clock.now += 1.0 if done < 4 else 5.0
    assert seen[3].remaining_s == pytest.approx(9.0), "what comes between is not known yet"
    assert seen[5].remaining_s == pytest.approx(7.0 + 5.0)
    assert seen[8].remaining_s == pytest.approx(4.0), "both pauses are over"
    assert seen[11].remaining_s == pytest.approx(1.0)


def test_cancel_stops_at_the_next_step() -> None:
    token = CancelToken()
    ctx = JobContext(token)
    ctx.step("Reading")
    token.cancel()
    with pytest.raises(JobCancelled):
        ctx.step("Reading")


def test_track_steps_before_each_item_and_after_the_last() -> None:
    seen: list[Progress] = []
    ctx = JobContext(report=seen.append)
    assert list(ctx.track("abc", "Writing", 3)) == ["a", "b", "c"]
    assert [p.done for p in seen] == [0, 1, 2, 3]


def test_an_unknown_total_has_no_fraction() -> None:
    assert Progress("Reading").fraction is None
