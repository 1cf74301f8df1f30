"""``homeedit model …``: base models."""

from dataclasses import asdict
from typing import Annotated

import typer

from homeedit.cli.context import JsonOption, WaitOption, face
from homeedit.cli.model_output import (
    available_json,
    model_facts_json,
    model_json,
    print_available,
    print_model_facts,
    print_models,
)
from homeedit.cli.output import print_json, print_table, talk

app = typer.Typer(no_args_is_help=True, help="Base models: list, show, add, calibrate, remove.")


@app.command("list")
def list_models(
    context: typer.Context,
    available: Annotated[
        bool, typer.Option("--available", help="List the models that can be brought by name instead.")
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """List the base models of this home, or those that can be brought by name.

    With --available: licence, size of the download, and the memory to compile facts and to serve, about. Others can
    be brought as OWNER/NAME from Hugging Face, as a folder or as FILE.gguf.
    """
    this = face(context, json_output)
    if available:
        known = this.household.available_models()
        if this.json:
            print_json([available_json(model) for model in known])
        else:
            print_available(known)
        return
    models = this.household.models()
    if this.json:
        print_json([model_json(base) for base in models])
    elif models:
        print_models(models, this.household.settings.model)
    else:
        talk("No base model yet. `homeedit init` brings one.")


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A base model of this home; else the one in use.")
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Show all that is known of a base model.

    Where it is from, its licence if that is known, sizes, types, which layers are edited and why, and the memory to
    compile facts and to serve.
    """
    this = face(context, json_output)
    facts = this.household.model_facts(name)
    if this.json:
        print_json(model_facts_json(facts))
    else:
        print_model_facts(facts)


@app.command("add")
def add(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A name of `model list --available`, OWNER/NAME on Hugging Face, OWNER/NAME:FILE.gguf, FILE.gguf, "
            "or a Hugging Face folder.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="What to call it here.")] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on Hugging Face; else the newest.", metavar="REVISION")
    ] = None,
    quant: Annotated[
        str | None,
        typer.Option(
            help="Quantize the served file: Q4_K_M, Q5_K_M, Q6_K, Q8_0 or F16. Else a GGUF stays as it came; "
            "safetensors become Q8_0 up to a billion parameters, Q4_K_M above; the embedded model Q8_0.",
            metavar="TYPE",
        ),
    ] = None,
    edited_quant: Annotated[
        str | None,
        typer.Option(help="Type of the edited layers: Q8_0 (the default), Q6_K or F16.", metavar="TYPE"),
    ] = None,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Bring another base model.

    A download goes into Hugging Face's own cache; interrupted, it goes on where it stopped. Gated models need a
    login: `hf auth login`.

    `homeedit init --model NAME` switches to it.
    """
    this = face(context, json_output)
    base = this.household.add_model(
        source,
        name=name,
        revision=revision,
        quantization=quant,
        edited_type=edited_quant,
        progress=this.progress,
        wait=wait,
    )
    this.progress.finish()
    if this.json:
        print_json([model_json(base)])
    else:
        print_models([base], this.household.settings.model)


@app.command("calibrate")
def calibrate(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A base model of this home; else the one in use.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="About how long it may take.", min=0.1)] = 20.0,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Measure which layers and ranks suit a base model.

    The recipe is kept beside the model, with the reason for each number (`model show`). A model that was already
    taught keeps its layers. Run it again to measure anew.
    """
    this = face(context, json_output)
    found = this.household.calibrate_model(name, minutes=minutes, progress=this.progress, wait=wait)
    if this.json:
        print_json([asdict(reason) for reason in found])
    else:
        print_table(("NUMBER", "VALUE", "REASON"), [(each.name, each.value, each.reason) for each in found])


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
