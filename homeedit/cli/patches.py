"""``homeedit patch …``: facts compiled to weight patches."""

from pathlib import Path
from typing import Annotated

import typer

from homeedit.cli.context import ForceOption, JsonOption, WaitOption, face
from homeedit.cli.facts import KeepBothOption, ReplaceOption, on_conflict
from homeedit.cli.output import (
    megabytes,
    patch_json,
    print_json,
    print_pairs,
    print_patches,
    print_path,
    talk,
)
from homeedit.cli.work import finish_build

app = typer.Typer(no_args_is_help=True, help="Weight patches: list, show, export, import, revert.")

IdsArgument = Annotated[
    list[str], typer.Argument(metavar="ID…", help="Patches, or facts (then the patch that holds the fact).")
]


@app.command("list")
def list_patches(context: typer.Context, json_output: JsonOption = False) -> None:
    """List all patches on disk with the sentences they hold."""
    this = face(context, json_output)
    patches = this.household.patches()
    if this.json:
        print_json([patch_json(patch) for patch in patches])
    elif patches:
        print_patches(patches)
    else:
        talk("No patches yet. `homeedit compile` makes them from facts.")


@app.command("show")
def show(context: typer.Context, ids: IdsArgument, json_output: JsonOption = False) -> None:
    """Show a patch: its facts, size, and how it was made."""
    this = face(context, json_output)
    patches = this.household.find_patches(ids)
    if this.json:
        print_json([patch_json(patch) for patch in patches])
        return
    for patch in patches:
        method = patch.recipe.get("method", "unknown")
        rows = [
            ("id", patch.id),
            ("file", str(patch.file)),
            ("size", f"{megabytes(patch.bytes)}, rank {patch.rank}"),
            ("base", f"{patch.base} ({patch.fingerprint[:12]})"),
            ("method", f"{method}, seed {patch.seed}"),
            ("created", patch.created),
            ("on top of", ", ".join(patch.parents) or "the base"),
        ]
        print_pairs(rows + [("fact", f"{fact.id}  {fact.sentence}") for fact in patch.facts])


@app.command("export")
def export(
    context: typer.Context,
    ids: IdsArgument,
    out: Annotated[Path, typer.Option("-o", "--output", help="Where to write: a file (peft: a folder).")],
    format_name: Annotated[
        str, typer.Option("--format", help="homeedit (to import elsewhere), peft, or gguf-lora (llama.cpp).")
    ] = "homeedit",
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Write patches to a file.

    Whoever has the file can read the facts in it.
    """
    this = face(context, json_output)
    patches = this.household.export_patches(ids, out, format_name=format_name, force=force)
    if this.json:
        print_json([patch_json(patch) for patch in patches])
    else:
        print_path(out)


@app.command("import")
def import_patch(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A patch exported as homeedit.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and show it, store nothing.")] = False,
    replace: ReplaceOption = False,
    keep_both: KeepBothOption = False,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Check a patch from elsewhere and take it in.

    Its facts are shown first; the next compile links it.
    """
    this = face(context, json_output)
    looked_at = this.household.inspect_patch(file)
    talk(f"Patch {looked_at.id} for {looked_at.base} holds:")
    for fact in looked_at.facts:
        talk(f"  {fact.sentence}")
    if dry_run:
        patch = looked_at
    else:
        wanted = on_conflict(replace, keep_both)
        patch = this.household.import_patch(file, on_conflict=wanted, progress=this.progress, wait=wait)
        talk("Stored. `homeedit compile` applies it.")
    if this.json:
        print_json([patch_json(patch)])
    else:
        print_patches([patch])


@app.command("revert")
def revert(
    context: typer.Context,
    ids: IdsArgument,
    force: ForceOption = False,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Take patches or facts out of the model, at once.

    Builds, verifies and activates without them. The facts stay in the ledger, disabled; `homeedit fact
    enable` and `homeedit compile` bring them back.
    """
    this = face(context, json_output)
    patches, result = this.household.revert(ids, force=force, progress=this.progress, wait=wait)
    this.progress.finish()
    if this.json:
        print_json([patch_json(patch) for patch in patches])
        for fact in result.facts:
            talk(f"{fact.id}  {fact.state}  {fact.sentence}")
    finish_build(this, result, show=not this.json)
