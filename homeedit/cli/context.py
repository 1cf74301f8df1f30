"""What every command shares: the home it works on, how it shows things, and the options they have in common."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from homeedit.household import Household
from homeedit.progress import Progress
from homeedit.settings import Home, find_home

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables.")]
WaitOption = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Wait when another homeedit is changing this home, or fail.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Activate the build even if the checks refuse it; this is recorded.")
]


@dataclass
class Common:
    """The options given before the command."""

    home: Path | None = None
    json: bool = False
    device: str | None = None


@dataclass(frozen=True)
class Face:
    """The household a command calls, whether to print JSON, and where progress is shown."""

    household: Household
    json: bool
    progress: Progress


def chosen_home(common: Common) -> Home:
    """The home that the options and the environment name."""
    return find_home(common.home, os.environ)


def face(context: typer.Context, json_output: bool) -> Face:
    """What a command needs, from the options before and after its name."""
    from homeedit.cli.progress import progress_for_stderr

    common = context.find_object(Common) or Common()
    progress = progress_for_stderr()
    # However the command ends, the terminal gets its cursor back.
    context.call_on_close(progress.finish)
    return Face(Household(chosen_home(common), device=common.device), json_output or common.json, progress)


def stdin_lines() -> list[str]:
    """All lines of stdin, without line ends, as UTF-8; bytes that are not are replaced."""
    return lines_of(sys.stdin.buffer.read())


def lines_of(data: bytes) -> list[str]:
    """The lines of a text file's bytes. Only line feeds end a line: a sentence may hold any other character."""
    lines = data.decode("utf-8-sig", errors="replace").split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if not lines[-1] else lines)]


def can_ask() -> bool:
    """Whether a person sits at a terminal who could answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()
