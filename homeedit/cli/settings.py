"""``homeedit settings …``: what a household can set."""

from typing import Annotated

import typer

from homeedit.cli.context import Face, JsonOption, face
from homeedit.cli.output import print_json, print_settings, setting_json

app = typer.Typer(no_args_is_help=True, help="Settings: list, set.")


@app.command("list")
def list_settings(context: typer.Context, json_output: JsonOption = False) -> None:
    """List all settings with their values, and where each value comes from."""
    _show(face(context, json_output))


@app.command("set")
def set_value(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `settings list` shows it, or keys.ACTION.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What it shall be.")],
    json_output: JsonOption = False,
) -> None:
    """Change one line of homeedit.toml.

    Everything else in the file, comments too, stays as it is.

    Example: homeedit settings set keep_builds 10
    """
    this = face(context, json_output)
    this.household.change_setting(name, value)
    _show(this)


def _show(this: Face) -> None:
    values = this.household.setting_values()
    if this.json:
        print_json([setting_json(value) for value in values])
    else:
        print_settings(values)
