"""Progress bars: on a terminal only, one at a time, and never in the way of results."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from napari_lesion.cli import progress
from napari_lesion.cli.console import say
from napari_lesion.core.jobs import CancelToken, JobCancelled


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    screen = io.StringIO()
    made = Console(file=screen, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(progress, "console", lambda errors: made)
    return screen


def last_words(bars: progress.JobBars) -> str:
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(bars._bars.get_renderable())
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().replace("━", "").replace("╸", "").replace("╺", "").split())


def test_a_bar_counts_and_names_the_stage(terminal: io.StringIO) -> None:
    with progress.job_bars() as bars:
        bars.context("case").step("Searching", 3, 60)
        assert last_words(bars) == "case Searching 3 of 60"


def test_bytes_are_told_as_a_share(terminal: io.StringIO) -> None:
    with progress.job_bars() as bars:
        bars.context("case").step("Reading", 3_000_000, 6_000_000)
        assert last_words(bars) == "case Reading 50 %"


def test_a_stage_without_a_total_keeps_none_of_the_stage_before(terminal: io.StringIO) -> None:
    with progress.job_bars() as bars:
        ctx = bars.context("case")
        ctx.step("Reading", 3, 6)
        ctx.step("Checking the input")
        assert last_words(bars) == "case Checking the input"


def test_nothing_is_shown_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.job_bars() as bars:
        bars.context("case").step("Searching", 3, 60)
    assert capfd.readouterr() == ("", "")


def test_results_stay_on_standard_output(terminal: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    with progress.job_bars() as bars:
        bars.context("case").step("Searching", 3, 60)
        bars.pause()
        say("result")
    assert capfd.readouterr().out == "result\n"
    assert "result" not in terminal.getvalue()


def test_a_set_token_cancels_the_job() -> None:
    token = CancelToken()
    ctx = progress.JobBars(token).context("case")
    token.cancel()
    with pytest.raises(JobCancelled):
        ctx.step("Searching", 3, 60)
