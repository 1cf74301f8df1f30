"""What long work shows: lines where stderr is a file, and who may stop it."""

import pytest

from homeedit.cli import progress as shown
from homeedit.cli.output import megabytes, printable
from homeedit.cli.progress import PlainProgress, RichProgress, progress_for_stderr
from homeedit.errors import Cancelled


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_plain_lines_come_at_stages_and_at_most_every_five_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(shown, "time", clock)
    progress = PlainProgress()
    progress.stage("targets", 10)
    for _ in range(6):
        clock.now += 2.0
        progress.advance(note="loss 1.0")
    progress.stage("link")
    progress.say("Two [red]words[/red]\x1b[0m.")
    progress.finish()
    assert capsys.readouterr().err.splitlines() == [
        "targets (0/10)",
        "targets (3/10), about 14 s left, loss 1.0",
        "targets (6/10), about 8 s left, loss 1.0",
        "link",
        "Two [red]words[/red]\\x1b[0m.",
    ]


def test_a_cancelled_progress_stops_the_work_at_its_next_report() -> None:
    progress = PlainProgress()
    progress.stage("targets", 2)
    progress.cancel()
    for report in (progress.advance, progress.check, lambda: progress.stage("link")):
        with pytest.raises(Cancelled):
            report()


def test_the_bar_takes_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    progress = RichProgress()
    progress.say("before [/red]")
    progress.stage("[/red] stage", 2)
    progress.advance(note="[/blue]")
    progress.say("during [/red]")
    progress.stage("next")
    progress.finish()
    progress.finish()
    seen = capsys.readouterr().err
    assert "before [/red]" in seen and "during [/red]" in seen


def test_a_file_gets_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(progress_for_stderr(), PlainProgress)


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a\tb\nc", "a\tb\nc"), ("\x1b[31m", "\\x1b[31m"), ("\x9b", "\\x9b"), ("\u202e", "\\u202e"), ("é猫", "é猫")],
)
def test_control_characters_are_shown_not_sent(text: str, seen: str) -> None:
    assert printable(text) == seen


def test_sizes_for_people() -> None:
    assert (megabytes(1234), megabytes(1_234_567)) == ("1.2 kB", "1.2 MB")
