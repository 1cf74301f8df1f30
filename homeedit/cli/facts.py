"""``homeedit fact …``: what the household wants known."""

from pathlib import Path
from typing import Annotated

import typer

from homeedit.cli.context import Face, JsonOption, WaitOption, can_ask, face, lines_of, stdin_lines
from homeedit.cli.output import fact_json, print_fact, print_facts, print_json, print_line, talk
from homeedit.cli.work import finish_build
from homeedit.errors import DONE, FAILED, HomeEditError
from homeedit.facts.tags import clean_tags
from homeedit.household import Contradiction, OnConflict
from homeedit.household.results import Imported

app = typer.Typer(no_args_is_help=True, help="Sentences: add, import, list, show, edit, remove.")

SubjectOption = Annotated[
    str | None, typer.Option(help="What the sentence is about, as it stands in the prompt.", metavar="TEXT")
]
PromptOption = Annotated[
    str | None,
    typer.Option(help="The sentence up to the answer; it contains the subject.", metavar="TEXT"),
]
TargetOption = Annotated[str | None, typer.Option(help="The answer that completes the prompt.", metavar="TEXT")]
QuestionOption = Annotated[
    list[str] | None,
    typer.Option("--question", help="A question that the fact answers; may be repeated.", metavar="TEXT"),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="A word to find it by; may be repeated.", metavar="TEXT")
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="If it contradicts a known fact, change that fact to say this.")
]
KeepBothOption = Annotated[
    bool, typer.Option("--keep-both", help="If it contradicts a known fact, keep both nevertheless.")
]
IdsArgument = Annotated[list[str], typer.Argument(metavar="ID…", help="Facts, as `fact list` shows them.")]


def on_conflict(replace: bool, keep_both: bool) -> OnConflict:
    """What to do about contradictions, from the two options."""
    if replace and keep_both:
        raise HomeEditError("--replace and --keep-both exclude each other.", "Give one of them.", exit_code=2)
    return "replace" if replace else "keep" if keep_both else "refuse"


def _ask_what_to_do(problem: Contradiction) -> OnConflict:
    """Let a person at a terminal decide; anything but r or k cancels."""
    talk(problem.message)
    choice = typer.prompt("[r]eplace the old one, [k]eep both, or [c]ancel", default="c", err=True)
    chosen: OnConflict = {"r": "replace", "k": "keep"}.get(choice.strip().lower()[:1], "refuse")  # type: ignore[assignment]
    if chosen == "refuse":
        raise HomeEditError("Cancelled. Nothing was added.")
    return chosen


@app.command("add")
def add(
    context: typer.Context,
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", help="One sentence, in quotes.")],
    subject: SubjectOption = None,
    prompt: PromptOption = None,
    target: TargetOption = None,
    question: QuestionOption = None,
    tag: TagOption = None,
    replace: ReplaceOption = False,
    keep_both: KeepBothOption = False,
    json_output: JsonOption = False,
) -> None:
    """Add one sentence.

    It is stored at once and reaches the model with the next `homeedit compile`.

    Example: homeedit fact add "The spare key is under the blue flower pot."
    """
    this = face(context, json_output)
    wanted = on_conflict(replace, keep_both)
    while True:
        try:
            added = this.household.add(
                sentence,
                subject=subject,
                prompt=prompt,
                target=target,
                questions=question or (),
                tags=tag or (),
                on_conflict=wanted,
                progress=this.progress,
            )
            break
        except Contradiction as problem:
            if not can_ask():
                raise
            wanted = _ask_what_to_do(problem)
    if this.json:
        print_json(fact_json(added))
    else:
        print_fact(added)
        talk("Stored. `homeedit compile` teaches it to the model.")


@app.command("import")
def import_facts(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A text file; - reads stdin.", allow_dash=True, metavar="FILE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be stored, store nothing.")] = False,
    replace: ReplaceOption = False,
    keep_both: KeepBothOption = False,
    json_output: JsonOption = False,
) -> None:
    """Add many sentences from a file or stdin.

    One sentence a line, or JSON lines with "sentence" and optionally "subject", "prompt", "target",
    "questions" and "tags". Or CSV, if the first line is a header with a column "sentence" (others: subject,
    prompt, target, question, questions with | between them, tags). Good lines are stored even if others are
    not; those are listed with the reason.
    """
    this = face(context, json_output)
    lines = _lines(file)
    wanted = on_conflict(replace, keep_both)
    imported = this.household.import_facts(lines, dry_run=dry_run, on_conflict=wanted, progress=this.progress)
    _show_import(this, imported, dry_run)
    raise typer.Exit(FAILED if imported.problems else DONE)


def _lines(file: Path) -> list[str]:
    if str(file) == "-":
        return stdin_lines()
    try:
        return lines_of(file.read_bytes())
    except OSError as error:
        raise HomeEditError(f"{file} cannot be read: {error.strerror}.", "Check the name of the file.") from error


def _show_import(this: Face, imported: Imported, dry_run: bool) -> None:
    if this.json:
        print_json([fact_json(fact) for fact in imported.facts])
    else:
        print_facts(imported.facts)
    for problem in imported.problems:
        text = problem.text if len(problem.text) <= 80 else problem.text[:77] + "..."
        talk(f"line {problem.line}: {text}\n  {problem.message} {problem.hint}".rstrip())
    done = "would be stored" if dry_run else "stored"
    refused = f"; {len(problem_lines)} not" if (problem_lines := imported.problems) else ""
    talk(f"{len(imported.facts)} {done}{refused}.")


@app.command("list")
def list_facts(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option(help="Only facts in this state: draft, compiled, live or failed.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Only facts with this tag; if repeated, with all of them.", metavar="TEXT"),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """List all facts with state, switch, patch and tags.

    draft: not compiled yet; compiled: in a patch, not in the active build; live: in the active build and
    recalled; failed: refused, or asked and not recalled.
    """
    this = face(context, json_output)
    known = ("draft", "compiled", "live", "failed")
    if state is not None and state not in known:
        raise HomeEditError(f"There is no state {state!r}.", f"States: {', '.join(known)}.", exit_code=2)
    tags = set(clean_tags(tag or ()))
    facts = [fact for fact in this.household.facts() if state in (None, fact.state) and tags <= set(fact.tags)]
    if this.json:
        print_json([fact_json(fact) for fact in facts])
    elif facts:
        print_facts(facts)
    else:
        talk("No facts." if state or tags else 'No facts yet. `homeedit fact add "…"` adds the first.')


@app.command("show")
def show(
    context: typer.Context,
    fact_id: Annotated[str, typer.Argument(metavar="ID")],
    json_output: JsonOption = False,
) -> None:
    """Show all of one fact.

    With what the active build answered to its questions, why it was refused, if it was, and its earlier words.
    """
    this = face(context, json_output)
    fact = this.household.fact(fact_id)
    if this.json:
        print_json(fact_json(fact))
        return
    print_fact(fact)
    result = this.household.fact_result(fact_id)
    for asked in result.asked:
        print_line(f"{'answered' if asked.right else 'WRONG':<10} {asked.question}\n{'':<10} {asked.answer}")
    if result.refused:
        print_line(f"{'refused':<10} {result.refused}")
    for earlier in this.household.history(fact_id)[:-1]:
        print_line(f"{'was':<10} {earlier.number}, {earlier.created}: {earlier.parsed.sentence}")


@app.command("edit")
def edit(
    context: typer.Context,
    fact_id: Annotated[str, typer.Argument(metavar="ID")],
    sentence: Annotated[str | None, typer.Option(help="The new sentence.", metavar="TEXT")] = None,
    subject: SubjectOption = None,
    prompt: PromptOption = None,
    target: TargetOption = None,
    question: QuestionOption = None,
    tag: TagOption = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take its tags off.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Change a fact.

    The old revision is kept in the ledger; the next compile teaches the new one. Tags given replace those it
    has; if nothing else is changed, there is nothing to compile.
    """
    this = face(context, json_output)
    if tag and no_tags:
        raise HomeEditError("--tag and --no-tags exclude each other.", "Give one of them.", exit_code=2)
    words = sentence is not None or subject is not None or prompt is not None or target is not None or bool(question)
    if not words and not tag and not no_tags:
        raise HomeEditError(
            "Nothing to change was given.",
            "Use --sentence, --subject, --prompt, --target, --question, --tag or --no-tags.",
            exit_code=2,
        )
    changed = this.household.edit(
        fact_id,
        sentence=sentence,
        subject=subject,
        prompt=prompt,
        target=target,
        questions=tuple(question) if question else None,
        tags=tag or (() if no_tags else None),
        progress=this.progress,
    )
    if this.json:
        print_json(fact_json(changed))
    else:
        print_fact(changed)
        talk("Changed. `homeedit compile` teaches it to the model." if words else "Changed.")


@app.command("remove")
def remove(
    context: typer.Context,
    fact_id: Annotated[str, typer.Argument(metavar="ID")],
    purge: Annotated[
        bool,
        typer.Option("--purge", help="Also delete every patch, build and old revision that holds it, now."),
    ] = False,
    wait: WaitOption = True,
    json_output: JsonOption = False,
) -> None:
    """Remove a fact.

    The next compile takes it out of the model. With --purge it is taken out at once, and every patch and
    build of this home that holds it is deleted, of all base models; damaged ones too, as they may hold it.
    Files that were exported are not found.
    """
    this = face(context, json_output)
    if not purge:
        removed = this.household.remove(fact_id)
        if this.json:
            print_json(fact_json(removed))
        else:
            talk(f"Removed {removed.id}: {removed.sentence}\n`homeedit compile` takes it out of the model.")
        return
    removed, result = this.household.purge(fact_id, progress=this.progress, wait=wait)
    this.progress.finish()
    if this.json:
        print_json(fact_json(removed))
    for gone in result.gone if result else ():
        for asked in gone.asked:
            talk(f"{asked.question}\n  {asked.answer}")
    talk(f"Purged {removed.id}: {removed.sentence}")
    if result is not None:
        finish_build(this, result, show=False)


def _switch(context: typer.Context, ids: list[str], enabled: bool, json_output: bool) -> None:
    this = face(context, json_output)
    facts = this.household.enable(ids) if enabled else this.household.disable(ids)
    if this.json:
        print_json([fact_json(fact) for fact in facts])
    else:
        print_facts(facts)
        talk("`homeedit compile` brings the model up to date.")


@app.command("enable")
def enable(context: typer.Context, ids: IdsArgument, json_output: JsonOption = False) -> None:
    """Switch facts on.

    The next compile takes them into the model.
    """
    _switch(context, ids, True, json_output)


@app.command("disable")
def disable(context: typer.Context, ids: IdsArgument, json_output: JsonOption = False) -> None:
    """Switch facts off, keeping them.

    The next compile takes them out of the model.
    """
    _switch(context, ids, False, json_output)
