"""Compile: what it would do, how it goes, how it ended, and what to do about facts that failed."""

from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Button, DataTable, RichLog, Static

from homeedit.facts.fact import Fact
from homeedit.household.results import BuildResult, FactResult
from homeedit.tui.actions import bindings_of
from homeedit.tui.pane import Pane
from homeedit.tui.said import Said
from homeedit.tui.widgets.answers import Answers, answers_text, rows_of
from homeedit.tui.widgets.checklist import Checklist
from homeedit.tui.widgets.fact_words import quoted
from homeedit.tui.widgets.outcome import outcome
from homeedit.tui.widgets.outlook import Outlook, look, what_failed, what_is_served, what_is_to_do
from homeedit.tui.widgets.rows import Column, Rows
from homeedit.tui.words import counted, plain, the_build
from homeedit.tui.work import Work

_WIDE = 110
"""From this many columns on, answers stand beside the table."""
_MARGIN = 4
"""Columns that the pane's padding and a scroll bar take."""
_COLUMNS = (Column("Fact", 5), Column("State", 11), Column("Recall", 6), Column("Sentence", least=20))


class CompilePane(Pane):
    """Before, during and after long work that makes or asks a build."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("compile")]
    DEFAULT_CSS = """
    CompilePane #summary { height: auto; max-height: 50%; scrollbar-size-vertical: 1; }
    CompilePane #summary Static { height: auto; }
    CompilePane #stages, CompilePane #talk { display: none; }
    CompilePane #talk { height: 1fr; min-height: 3; border-top: solid $panel-lighten-2; }
    CompilePane #talk { background: $background; border-title-color: $text-muted; }
    CompilePane #talk { scrollbar-size-vertical: 1; margin-top: 1; }
    CompilePane #talk:focus { border-top: heavy $accent; border-title-color: $text; border-title-style: bold; }
    CompilePane #body { layout: vertical; height: 1fr; }
    CompilePane #body Rows { height: 1fr; min-height: 4; }
    CompilePane #body Answers { height: 1fr; min-height: 4; }
    CompilePane.-wide #body { layout: horizontal; }
    CompilePane.-wide #body Rows { width: 3fr; height: 1fr; }
    CompilePane.-wide #body Answers { width: 2fr; height: 1fr; padding: 0 0 0 1; }
    CompilePane.-empty #body { display: none; }
    CompilePane.-stopped #body { display: none; }
    CompilePane.-stopped #talk { display: block; }
    CompilePane.-empty #summary { max-height: 100%; }
    CompilePane.-running #summary, CompilePane.-running #body { display: none; }
    CompilePane.-running #stages, CompilePane.-running #talk { display: block; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._outlook = Outlook()
        self._loaded = False
        self._work: Work | None = None
        """The work whose talk is in the log."""
        self._written = 0
        self._shown: dict[str, FactResult] = {}
        self._told: BuildResult | None = None
        self._refused = False
        """Whether what is shown is of a build that was refused."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="summary"):
            yield Static("", id="outcome", markup=False)
            yield Static("", id="outlook", markup=False)
            yield Button("", id="start", variant="primary")
        yield Checklist(id="stages")
        with Container(id="body"):
            yield Rows(_COLUMNS, id="results", title="Facts")
            yield Answers(id="answers")
        talk = RichLog(id="talk", wrap=True, min_width=10, markup=False, highlight=False)
        talk.border_title = "What was said"
        yield talk

    def on_mount(self) -> None:
        self.query_one("#start").display = False
        self._follow()

    def on_resize(self, event: events.Resize) -> None:
        """Put the answers where there is room, and break the lines of the summary there."""
        self.set_class(event.size.width >= _WIDE, "-wide")
        if self._loaded:
            self._show_summary(self._outlook, self._result)

    # Loading and showing

    def refresh_data(self) -> None:
        """Read what a compile would do, and what was recorded."""
        household = self.face.household
        self.face.perform(lambda: look(household), self._show)

    def work_changed(self) -> None:
        """Show where the work is."""
        self._follow()

    def work_ended(self) -> None:
        """Show what came of it; ``refresh_data`` brings the states."""
        self._follow()

    def focus_first(self) -> None:
        """The table, or what stands in its place; without either the pane, so that its keys work."""
        if self.has_class("-running") or self.has_class("-stopped"):
            self.query_one("#talk").focus()
        elif not self.has_class("-empty"):
            self.query_one(Rows).focus()
        else:
            self.focus()

    @property
    def _result(self) -> BuildResult | None:
        """The result to show: of the last work, unless another build was made active since."""
        work = self.face.work
        result = None if work is None or work.running else work.built
        if work is None or result is None:
            return None
        stays = not result.activated or work.method == "verify" or result.build == self._outlook.active
        return result if stays else None

    def _follow(self) -> None:
        """Checklist and log of the work."""
        work = self.face.work
        running = work is not None and work.running
        was_running = self.has_class("-running")
        self.set_class(running, "-running")
        self.set_class(work is not None and not running and work.error is not None, "-stopped")
        if work is None:
            return
        self._write_log(work)
        if running:
            hint = (
                f"{self.key('app.cancel-work')} stops it. {the_build(self._outlook.active)} is served all the while; "
                "facts can be added."
            )
            self.query_one(Checklist).show(work, hint)
        if running != was_running and self._is_in_front():
            self.call_after_refresh(self.focus_first)

    def _is_in_front(self) -> bool:
        focused = self.screen.focused
        return self.face.panes.current == self.id and (focused is None or self in focused.ancestors_with_self)

    def _write_log(self, work: Work) -> None:
        talk = self.query_one("#talk", RichLog)
        if self._work is not work:
            self._work, self._written = work, 0
            talk.clear()
        for line in work.lines[self._written :]:
            talk.write(Text(plain(line)))
        self._written = len(work.lines)

    def _show(self, outlook: Outlook) -> None:
        self._outlook, self._loaded = outlook, True
        self._follow()
        result = self._result
        self._refused = result is not None and not result.activated
        self._show_summary(outlook, result)
        listed = self._listed(outlook, result)
        self._shown = {each.id: each for each in listed}
        was_empty = self.has_class("-empty")
        self.set_class(not listed, "-empty")
        self.can_focus = not listed
        facts = {fact.id: fact for fact in outlook.facts}
        self.query_one(Rows).show(rows_of(listed, facts, refused=self._refused))
        if result is not None and result is not self._told:
            self.query_one(Rows).move_cursor(row=0, animate=False)
        self._told = result
        self._show_answers()
        # The pane may be about to get the focus, so what has it now does not tell.
        if self._is_in_front() and (was_empty or self.screen.focused in (None, self)):
            self.call_after_refresh(self.focus_first)

    def _show_summary(self, outlook: Outlook, result: BuildResult | None) -> None:
        """How the last work ended, what a compile would do now, what is served, and the button that starts it."""
        work = self.face.work
        ended = work is not None and (result is not None or work.error is not None)
        lines = [what_is_to_do(outlook), what_failed(outlook, self.key("compile.retry"))]
        if outlook.problem is not None:
            lines = [f"✗ {plain(outlook.problem.message)}", plain(outlook.problem.hint)]
        elif not outlook.facts:
            lines.append(f"{self.key('app.show-facts')} goes to Facts, where you type the first one.")
        elif not ended:
            lines.append(what_is_served(outlook))
        told = outcome(work, result, outlook, self.size.width - _MARGIN, self.key)
        if not ended:
            lines, told = lines + told, []
        verdict = Text().append(told[0] if told else "", style="bold")
        self.query_one("#outcome", Static).update(verdict.append("".join(f"\n{line}" for line in told[1:])))
        self.query_one("#outcome").display = bool(told)
        self.query_one("#outlook", Static).update("\n".join(line for line in lines if line))
        start = self.query_one("#start", Button)
        start.label = f"Compile now  ({self.key('compile.start')})"
        start.display = outlook.to_compile.needed and outlook.problem is None

    def _listed(self, outlook: Outlook, result: BuildResult | None) -> list[FactResult]:
        """What failed comes first. Without a result: what was recorded of the facts that are served or refused."""
        recorded = {each.id: each for each in outlook.results}
        if result is not None:
            known = [*result.gone, *result.facts]
            listed = [replace(each, refused=recorded[each.id].refused if each.id in recorded else "") for each in known]
        else:
            shown = [fact for fact in outlook.facts if fact.enabled and fact.state in ("live", "failed")]
            listed = [recorded[fact.id] for fact in shown if fact.id in recorded]
        return sorted(listed, key=lambda each: all(asked.right for asked in each.asked[:1]) and each.state != "failed")

    # The fact under the cursor

    @on(DataTable.RowHighlighted)
    def _show_answers(self) -> None:
        result = self._shown.get(self.query_one(Rows).current or "")
        if result is None:
            self.query_one(Answers).show(Text(""))
            return
        advice = (
            f"Rephrase it ({self.key('compile.rephrase')}), add phrasings ({self.key('compile.more-questions')}), "
            f"or try harder ({self.key('compile.retry')})."
        )
        self.query_one(Answers).show(answers_text(result, self._fact(result.id), advice, refused=self._refused))

    def _fact(self, fact_id: str | None) -> Fact | None:
        return next((fact for fact in self._outlook.facts if fact.id == fact_id), None)

    def _chosen(self) -> Fact | None:
        """The fact under the cursor; says so when there is none."""
        fact = self._fact(self.query_one(Rows).current) if not self.has_class("-running") else None
        if fact is None:
            self.face.say("No fact is chosen.", "Put the cursor on one in the table of results.", severity="warning")
        return fact

    # Actions

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        """Compile."""
        self.face.start_work("Compile", "compile")

    def action_consolidate(self) -> None:
        """Compile everything again, after a question."""
        from homeedit.tui.dialogs.confirm import Confirm

        count = sum(fact.enabled for fact in self._outlook.facts)
        if not count:
            self.face.say("There is no fact to compile.", severity="warning")
            return
        question = Confirm(
            f"Compile all {counted(count, 'fact')} again, together?" if count > 1 else "Compile the one fact again?",
            "All are learned anew from the base model into one patch that takes the place of theirs. That helps when "
            "facts get in each other's way, and takes long: minutes for a few, much more for many. What is served "
            "now stays until the new build has passed its checks, and you can stop it at any time.",
            yes="Consolidate",
        )
        self.face.push_screen(question, self._consolidate)

    def _consolidate(self, sure: bool | None) -> None:
        if sure:
            self.face.start_work("Consolidate", "compile", consolidate=True)

    def action_force(self) -> None:
        """Serve what the checks refuse, after a question: the refused work is done again with force."""
        from homeedit.tui.dialogs.confirm import Confirm

        result, work = self._result, self.face.work
        refused = result is not None and not result.activated
        reasons = "\n".join(f"· {plain(reason)}" for reason in result.reasons) if result and refused else ""
        again = work if refused and work is not None and work.method in ("compile", "revert") else None

        def force(sure: bool | None) -> None:
            if sure and again is not None:
                self.face.start_work(again.title, again.method, *again.arguments, **{**again.options, "force": True})
            elif sure:
                self.face.start_work("Compile", "compile", force=True)

        question = Confirm(
            "Serve the build even if the checks refuse it?",
            "It is compiled again and then served whatever the checks say; that is recorded. Facts that were known "
            "may be lost and other answers may change. An earlier build can be served again in Builds."
            + (f"\n\nThe last one was refused because:\n{reasons}" if reasons else ""),
            yes="Serve anyway",
        )
        self.face.push_screen(question, force)

    def action_retry(self) -> None:
        """Compile what failed with more effort."""
        failed = [fact.id for fact in self._outlook.failed]
        if not failed:
            self.face.say("No fact has failed.", "There is nothing to try again.", severity="warning")
            return
        self.face.start_work("Retry harder", "compile", retry=failed)

    def action_verify(self) -> None:
        """Ask the served build again."""
        self.face.start_work("Verify", "verify")

    def action_rephrase(self) -> None:
        """Change the words of the fact under the cursor."""
        if (fact := self._chosen()) is not None:
            from homeedit.tui.dialogs.edit_fact import EditFact

            self.face.push_screen(EditFact(fact))

    def action_more_questions(self) -> None:
        """Add questions to the fact under the cursor."""
        if (fact := self._chosen()) is None:
            return
        from homeedit.tui.dialogs.more_questions import MoreQuestions

        dialog = MoreQuestions(fact)

        def store(questions: tuple[str, ...] | None) -> None:
            if questions:
                self._add_questions(fact, questions, dialog.draft.name)

        self.face.push_screen(dialog, store)

    def _add_questions(self, fact: Fact, questions: tuple[str, ...], draft: str) -> None:
        household, said = self.face.household, Said()

        def edit() -> Fact:
            # The fact may have been changed while the dialog was open.
            known = household.fact(fact.id).questions
            changed = household.edit(fact.id, questions=[*known, *questions], progress=said)
            household.keep_typed(draft, "")
            return changed

        def done(changed: Fact) -> None:
            key = self.key("compile.start")
            self.face.undo_stack.push(f"added questions to {quoted(fact)}", before=[fact])
            self.face.say(f"{changed.id} has {counted(len(changed.questions), 'question')} now. {key} compiles it.")
            for warning in said.lines:
                self.face.say(warning, severity="warning")
            self.face.changed()

        self.face.perform(edit, done)

    def action_copy(self) -> None:
        """Copy the log of what runs or failed, else the results with all answers."""
        work = self.face.work
        if work is not None and (work.running or work.error is not None):
            self.face.copy("\n".join(work.lines))
            return
        parts = [str(self.query_one("#outlook", Static).content), str(self.query_one("#outcome", Static).content)]
        parts += [answers_text(each, self._fact(each.id), refused=self._refused).plain for each in self._shown.values()]
        self.face.copy("\n\n".join(part for part in parts if part))
