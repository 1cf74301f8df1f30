"""``homeedit model …``: base models."""

from typing import Annotated

import typer

from homeedit.cli.context import JsonOption, WaitOption, face
from homeedit.cli.output import model_json, print_json, print_models, talk

app = typer.Typer(no_args_is_help=True, help="Base models: list, add, remove.")


@app.command("list")
def list_models(context: typer.Context, json_output: JsonOption = False) -> None:
    """List the base models of this home."""
    this = face(context, json_output)
    models = this.household.models()
    if this.json:
        print_json([model_json(base) for base in models])
    elif models:
        print_models(models, this.household.settings.model)
    else:
        talk("No base model yet. `homeedit init` brings one.")


@app.command("add")
def add(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="smollm2-135m, FILE.gguf, or a Hugging Face folder with a GGUF in it."),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it here.")] = None,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Bring another base model.

    `homeedit init --model NAME` switches to it.
    """
    this = face(context, json_output)
    base = this.household.add_model(source, name=name, progress=this.progress, wait=wait)
    this.progress.finish()
    if this.json:
        print_json([model_json(base)])
    else:
        print_models([base], this.household.settings.model)


@app.command("remove")
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Delete a base model with its builds.

    The model in use cannot be removed, unless it is damaged.
    """
    this = face(context, json_output)
    this.household.remove_model(name, progress=this.progress, wait=wait)
    if this.json:
        print_json([model_json(base) for base in this.household.models()])
    else:
        talk(f"Removed {name}.")
