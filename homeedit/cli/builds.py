"""``homeedit build …``: the history of what was served."""

from pathlib import Path
from typing import Annotated

import typer

from homeedit.cli.context import JsonOption, WaitOption, face
from homeedit.cli.output import build_json, change_json, print_builds, print_change, print_json, print_path, talk
from homeedit.errors import HomeEditError

app = typer.Typer(no_args_is_help=True, help="Builds: list, compare, use another, prune, export.")


@app.command("list")
def list_builds(context: typer.Context, json_output: JsonOption = False) -> None:
    """List the builds of the model in use."""
    this = face(context, json_output)
    builds, active = this.household.builds()
    if this.json:
        print_json([build_json(build, active) for build in builds])
    elif builds:
        print_builds(builds, active)
    else:
        talk("No builds yet. `homeedit compile` makes the first.")


def _number(text: str) -> int | None:
    """A build's number, None for the base model."""
    if text == "base":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HomeEditError(f"{text!r} is not a build's number.", "See `homeedit build list`.", exit_code=2)
    return int(text)


@app.command("compare")
def compare(
    context: typer.Context,
    older: Annotated[str, typer.Argument(metavar="A", help="A build's number, or base.")],
    newer: Annotated[str, typer.Argument(metavar="B", help="Another one's.")],
    json_output: JsonOption = False,
) -> None:
    """Show what changed from build A to build B.

    Sentences added (+) and removed (-), questions that both were asked and answered otherwise (?), the share of
    facts recalled, and how far unrelated answers are from the base model's (KL).
    """
    this = face(context, json_output)
    change = this.household.compare(_number(older), _number(newer))
    if this.json:
        print_json(change_json(change))
    else:
        print_change(change)


@app.command("use")
def use(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="N", help="A build's number, or base for none.")],
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Serve another build, at once.

    The facts in the ledger stay as they are.
    """
    this = face(context, json_output)
    wanted = _number(number)
    this.household.use(wanted, progress=this.progress, wait=wait)
    builds, active = this.household.builds()
    if this.json:
        print_json([build_json(build, active) for build in builds])
    else:
        talk("The base model is served." if wanted is None else f"Build {wanted} is active.")


@app.command("prune")
def prune(
    context: typer.Context,
    keep: Annotated[int | None, typer.Option(help="How many of the newest to keep.", min=1)] = None,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Delete old builds; the active one always stays."""
    this = face(context, json_output)
    deleted = this.household.prune(keep, progress=this.progress, wait=wait)
    builds, active = this.household.builds()
    if this.json:
        print_json([build_json(build, active) for build in builds])
    else:
        talk(f"Deleted: {', '.join(map(str, deleted))}." if deleted else "Nothing to delete.")


@app.command("export")
def export(
    context: typer.Context,
    out: Annotated[Path, typer.Option("-o", "--output", help="The GGUF file to write.")],
    build: Annotated[int | None, typer.Option(help="A build's number; the active one if left out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Copy a build's GGUF, for any llama.cpp.

    Whoever has the file has the facts in it.
    """
    this = face(context, json_output)
    exported = this.household.export_build(build, out, force=force)
    if this.json:
        print_json([build_json(exported, this.household.builds()[1])])
    else:
        print_path(out)
