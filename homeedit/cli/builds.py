"""``homeedit build …``: the history of what was served."""

from pathlib import Path
from typing import Annotated

import typer

from homeedit.cli.context import JsonOption, WaitOption, face
from homeedit.cli.output import build_json, print_builds, print_json, print_path, talk
from homeedit.errors import HomeEditError

app = typer.Typer(no_args_is_help=True, help="Builds: list, use another, prune, export.")


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
    if number != "base" and not (number.isascii() and number.isdigit()):
        raise HomeEditError(f"{number!r} is not a build's number.", "See `homeedit build list`.", exit_code=2)
    wanted = None if number == "base" else int(number)
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
