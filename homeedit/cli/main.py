"""The command line: commands put together, and every failure turned into words and an exit code."""

import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from homeedit import __version__
from homeedit.cli import bench, builds, demo, facts, models, patches, serve, settings, terminal, work
from homeedit.cli.context import Common, chosen_home
from homeedit.cli.interrupt import Stopped, install, say_stopped
from homeedit.cli.output import talk
from homeedit.errors import FAILED, USAGE, HomeEditError
from homeedit.processes import set_up_process
from homeedit.settings import DEVICES

app = typer.Typer(
    name="homeedit",
    help="Teach your own small language model. Sentences become weight patches; llama.cpp serves the result; "
    "nothing leaves the house.\n\nFirst: homeedit init. Then: homeedit fact add SENTENCE, homeedit compile, "
    "homeedit ask QUESTION.\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some fact is not recalled.",
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
work.register(app)
app.add_typer(facts.app, name="fact")
app.add_typer(patches.app, name="patch")
app.add_typer(builds.app, name="build")
app.add_typer(models.app, name="model")
app.add_typer(settings.app, name="settings")
app.add_typer(bench.app, name="bench")
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("web")(terminal.web)


def _print_version(value: bool) -> None:
    if value:
        print(f"homeedit {__version__}")
        raise typer.Exit()


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="The home to use; else HOMEEDIT_HOME, the current folder if it is a home, or the user's data.",
            metavar="DIR",
        ),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON for machines; also accepted after a command.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help=f"Where to compile this time: {', '.join(DEVICES)}; else what homeedit.toml says.", metavar="NAME"
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of all commands."""
    if device is not None and device not in DEVICES:
        raise HomeEditError(f"There is no device {device!r}.", f"Choose one of {', '.join(DEVICES)}.", USAGE)
    context.obj = Common(home, json_output, device)
    if context.invoked_subcommand is not None:
        return
    if terminal.can_open() and not json_output:
        terminal.open_app(context)
    else:
        print(context.get_help())


def _home_option(arguments: list[str]) -> Path | None:
    """The value of --home as far as it can be told from the arguments alone, for the log of a failure."""
    for position, argument in enumerate(arguments):
        if argument == "--home" and position + 1 < len(arguments):
            return Path(arguments[position + 1])
        if argument.startswith("--home="):
            return Path(argument.removeprefix("--home="))
    return None


def write_log(error: BaseException, arguments: list[str]) -> Path:
    """Append the traceback to the home's log (or a temporary file) and return its path."""
    text = f"homeedit {__version__}\n" + "".join(traceback.format_exception(error)) + "\n"
    try:
        home = chosen_home(Common(_home_option(arguments)))
        if home.exists:
            with home.log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return home.log_file
    except OSError:
        pass
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace", prefix="homeedit-", suffix=".log", delete=False
    ) as temporary:
        temporary.write(text)
    return Path(temporary.name)


def _show_error(error: HomeEditError) -> int:
    talk(error.message)
    if error.hint:
        talk(error.hint)
    return error.exit_code


def _stop_now() -> None:
    """Leave without the interpreter's tidying up, which may take longer than a person waits."""
    say_stopped()
    sys.stdout.flush()
    os._exit(FAILED)


def _quiet_pipe() -> int:
    """The reader of stdout has gone: nothing more can be said to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def run() -> None:
    """Entry point of ``homeedit``."""
    arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        # A model may answer with anything; no terminal's encoding may make that a failure.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    set_up_process()
    install()
    code: int | str | None = 0
    try:
        try:
            app(prog_name="homeedit")
        except SystemExit as leaving:
            code = leaving.code
        sys.stdout.flush()
    except (Stopped, KeyboardInterrupt):
        _stop_now()
    except BrokenPipeError:
        code = _quiet_pipe()
    except HomeEditError as error:
        code = _show_error(error)
    except Exception as error:
        path = write_log(error, arguments)
        talk(f"Something unexpected went wrong: {type(error).__name__}: {str(error)[:300]}")
        talk(f"Facts and the build served before are safe. The details are in {path}.")
        code = FAILED
    sys.exit(code)
