"""The app: panes under tabs, one piece of long work at a time, errors in words."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from textual import on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.keys import format_key
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import ContentSwitcher, Footer, Static, Tab, Tabs
from textual.worker import WorkerError

from homeedit.errors import Cancelled, HomeEditError
from homeedit.household import Household
from homeedit.tui.actions import ACTIONS, EVERYWHERE, PANES, actions_of, bindings_of
from homeedit.tui.drafts import Drafts
from homeedit.tui.pane import Pane
from homeedit.tui.top import AllActions, state_line
from homeedit.tui.undo import UndoStack
from homeedit.tui.words import plain
from homeedit.tui.work import ReportedProgress, Work
from homeedit.tui.workline import WorkLine

Result = TypeVar("Result")
CallApart = Callable[..., Any]
_TICK_SECONDS = 0.25


class HomeEditApp(App[None]):
    """A household's home in the terminal.

    ``call_apart(household, method, *arguments, progress, **options)`` carries long work out, in a thread of its
    own; ``homeedit.household.apart.call_apart`` does it in another process.
    """

    TITLE = "homeedit"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of(EVERYWHERE)]

    def __init__(self, household: Household, call_apart: CallApart | None = None) -> None:
        super().__init__()
        self.household = household
        self._call_apart = call_apart
        self.work: Work | None = None
        self.rebound: dict[str, str] = {}
        """Keys of ``[keys]`` in homeedit.toml, by the action's id."""
        self.drafts = Drafts(household)
        self.journal: list[str] = []
        """What happened since the start, for the log."""
        self.undo_stack = UndoStack()
        """Changes of facts that can be taken back, whichever pane made them."""
        self.trying_theme = False
        """Whether a theme is only looked at."""

    # Building the screen

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield Static(f"homeedit · {self.household.home.root.name}", id="title", markup=False)
            yield Static("", id="state", markup=False)
            yield AllActions("≡ Actions", id="all-actions")
        tabs = Tabs(*(Tab(title, id=f"tab-{pane}") for pane, title in PANES.items()), id="tabs")
        # The focus stays in the pane, whose keys the footer shows; numbers and clicks change the tab.
        tabs.can_focus = False
        yield tabs
        yield ContentSwitcher(id="panes")
        yield WorkLine()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.apply_settings()
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.set_interval(_TICK_SECONDS, self._tick)
        self.refresh_state()

    def apply_settings(self) -> None:
        """Theme and keys as homeedit.toml says; as they are when it cannot be read."""
        with suppress(HomeEditError):
            settings = self.household.settings
            if settings.theme in self.available_themes:
                self.theme = settings.theme
            self.rebound = dict(settings.keys)
            self.set_keymap(self.rebound)

    def key_of(self, identity: str) -> str:
        """The key of an action as a person reads it, with what homeedit.toml changed."""
        keys = self.rebound.get(identity) or next(each.key for each in ACTIONS if each.id == identity)
        return format_key(keys.split(",")[0])

    def _keep_theme(self, theme: Theme) -> None:
        """A theme that was chosen, however that was done, is there again next time; one that is only tried is not."""
        with suppress(HomeEditError):
            if self.trying_theme or not self.household.home.exists or self.household.settings.theme == theme.name:
                return
            self.perform(lambda: self.household.change_setting("theme", theme.name), lambda _: self.changed())

    @property
    def panes(self) -> ContentSwitcher:
        """Where the panes are."""
        return self.screen_stack[0].query_one("#panes", ContentSwitcher)

    def pane(self, name: str) -> Pane | None:
        """A pane, if it was shown before."""
        found = self.panes.query_children(f"#{name}")
        return found.first(Pane) if found else None

    @on(Tabs.TabActivated, "#tabs")
    async def _show_tab(self, event: Tabs.TabActivated) -> None:
        await self._show_pane((event.tab.id or "").removeprefix("tab-"))

    async def _show_pane(self, name: str) -> None:
        if self.panes.current == name:
            return
        pane = self.pane(name)
        if pane is None:
            pane = make_pane(name)
            await self.panes.mount(pane)
        self.panes.current = name
        pane.refresh_data()
        pane.focus_first()

    def action_show(self, name: str) -> None:
        """Show a pane."""
        self.screen_stack[0].query_one("#tabs", Tabs).active = f"tab-{name}"
        if (pane := self.pane(name)) is not None:
            pane.focus_first()
        elif isinstance(self.focused, Tabs):
            self.screen_stack[0].set_focus(None)  # the new pane gets it

    # Short work

    def perform(
        self,
        work: Callable[[], Result],
        done: Callable[[Result], None] | None = None,
        failed: Callable[[HomeEditError], None] | None = None,
        *,
        owner: Screen[Any] | None = None,
        group: str = "short",
    ) -> None:
        """Call ``work`` in a thread, then ``done`` with its result, or ``failed`` (else the error is shown).

        ``owner`` is the dialog that asks: when it was closed meanwhile, what it can no longer show is of no matter,
        and errors are shown by the app. Actions of the palette wait for the group ``short``, in which panes load
        what they show.
        """

        def finish(result: Result) -> None:
            try:
                if done is not None:
                    done(result)
            except Exception as error:  # the app outlives a mistake of ours
                if owner is None or owner.is_attached:
                    self.show_unexpected(error)

        def refuse(error: Exception) -> None:
            told = error if isinstance(error, HomeEditError) else self.unexpected(error)
            try:
                if failed is None or (owner is not None and not owner.is_attached):
                    self.show_error(told)
                else:
                    failed(told)
            except Exception as mistake:
                self.show_unexpected(mistake)

        def run() -> None:
            try:
                result = work()
            except Exception as error:
                self._from_thread(refuse, error)
            else:
                self._from_thread(finish, result)

        self.run_worker(run, thread=True, exit_on_error=False, group=group)

    def _from_thread(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call back in the app's thread; an app that has ended hears nothing."""
        with suppress(RuntimeError):
            if self.is_running:
                self.call_from_thread(callback, *arguments)

    def changed(self) -> None:
        """Facts, patches, builds or settings changed: every pane that was shown loads again."""
        self.refresh_state()
        for pane in self.panes.query_children(Pane):
            if pane.is_mounted:
                pane.refresh_data()

    def refresh_state(self) -> None:
        """The line at the top: what is served and how the facts fare."""
        self.perform(lambda: state_line(self.household), self._show_state, lambda _: self._show_state("no home yet"))

    def _show_state(self, line: str) -> None:
        self.screen_stack[0].query_one("#state", Static).update(line)

    # Long work

    def start_work(self, title: str, method: str, *arguments: Any, **options: Any) -> bool:
        """Begin a Household method that takes a ``progress``; False (said to the person) when some work runs."""
        if self.work is not None and self.work.running:
            self.say(f"{self.work.title} is still running.", "Wait for it, or stop it first.", severity="warning")
            return False
        work = Work(title, method, ReportedProgress(lambda change: self._from_thread(self._change_work, change)))
        work.arguments, work.options = arguments, options
        self.work = work
        self.note(f"{title} …")

        def run() -> None:
            try:
                work.result = self.call_apart(self.household, method, *arguments, progress=work.progress, **options)
            except Exception as error:
                work.error = error
            self._from_thread(self._end_work, work)

        self.run_worker(run, thread=True, exit_on_error=False, group="long")
        self._tell_panes(lambda pane: pane.work_changed())
        return True

    def call_apart(self, *arguments: Any, **options: Any) -> Any:
        """Long work in another process, or as the app was made to do it."""
        if self._call_apart is None:
            from homeedit.household.apart import call_apart

            return call_apart(*arguments, **options)
        return self._call_apart(*arguments, **options)

    def _change_work(self, change: Callable[[Work], None]) -> None:
        if self.work is not None:
            change(self.work)

    def _tick(self) -> None:
        if self.work is not None and self.work.running:
            self._tell_panes(lambda pane: pane.work_changed())

    def _end_work(self, work: Work) -> None:
        work.running, work.seconds = False, time.monotonic() - work.began
        if isinstance(work.error, Cancelled):
            self.say(f"{work.title} was stopped.", "What is served is as it was.")
        elif isinstance(work.error, HomeEditError):
            self.show_error(work.error)
        elif work.error is not None:
            self.show_unexpected(work.error)
        elif work.refused is not None:
            refused = f"{work.title}: build {work.refused} was refused; what was served is served as before."
            self.say(refused, "Compile shows why.", severity="warning")
        else:
            self.say(f"{work.title}: done in {work.seconds:.0f} s.")
        self._tell_panes(lambda pane: pane.work_ended())
        self.changed()

    def on_unmount(self) -> None:
        """However the app ends, no work goes on behind it."""
        if self.work is not None:
            self.work.progress.cancel()

    def _tell_panes(self, what: Callable[[Pane], None]) -> None:
        self.screen_stack[0].query_one(WorkLine).show(self.work, f"{self.key_of('app.cancel-work')} stops it")
        for pane in self.panes.query_children(Pane):
            # One that is being made shows the work by itself as soon as it is there.
            if pane.is_mounted:
                what(pane)

    def action_cancel_work(self) -> None:
        """Stop the long work, if any."""
        if self.work is not None and self.work.running:
            self.work.stopping = True
            self.work.progress.cancel()
            self._tell_panes(lambda pane: pane.work_changed())

    # Talking to the person

    def say(self, line: str, hint: str = "", *, severity: Any = "information") -> None:
        """A message that goes away, kept in the log. Never read as markup."""
        line, hint = plain(line), plain(hint)
        self.note(f"{line} {hint}".strip())
        self.notify(f"{line}\n{hint}".strip(), severity=severity, markup=False, timeout=12 if hint else 5)

    def show_error(self, error: HomeEditError) -> None:
        """What failed and what to do next."""
        self.say(error.message, error.hint, severity="error")

    def show_unexpected(self, error: Exception) -> None:
        """A mistake of ours, in words."""
        self.show_error(self.unexpected(error))

    def unexpected(self, error: Exception) -> HomeEditError:
        """A mistake of ours, its traceback kept in the home's log, as an error for the person."""
        from homeedit.tui.logging import write_traceback

        where = write_traceback(self.household.home, error)
        details = f"; the details are in {where}" if where else ""
        return HomeEditError(
            f"Something unexpected went wrong: {type(error).__name__}: {str(error)[:200]}",
            f"Facts and the build that is served are safe. {self.key_of('app.log')} shows the log{details}.",
        )

    def note(self, line: str) -> None:
        """A line for the log."""
        self.journal.append(f"{datetime.now():%H:%M:%S}  {line}")

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, also through ssh (OSC 52)."""
        self.copy_to_clipboard(text)
        self.say("Copied.")

    def action_help(self) -> None:
        """Every key."""
        from homeedit.tui.dialogs.help import HelpDialog

        self.push_screen(HelpDialog(self.panes.current or "facts"))

    def action_log(self) -> None:
        """What happened."""
        from homeedit.tui.dialogs.log import LogDialog

        self.push_screen(LogDialog())

    async def action_quit(self) -> None:
        """Leave, but not out of running work unasked."""
        if self.work is None or not self.work.running:
            self.exit()
            return
        from homeedit.tui.dialogs.confirm import Confirm

        def leave(sure: bool | None) -> None:
            if sure:
                self.action_cancel_work()
                self.exit()

        question = Confirm(
            f"{self.work.title} is still running. Stop it and leave?",
            "What is served stays as it is; the facts stay in the list.",
            yes="Stop and leave",
        )
        self.push_screen(question, leave)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: the actions of the pane that is shown, those of everywhere, those of other panes."""
        current = self.panes.current or "facts"
        order: Sequence[str] = (current, EVERYWHERE, *(pane for pane in PANES if pane != current))
        for where in order:
            for action in actions_of(where):
                if action.id == "app.command_palette":
                    continue
                title = action.title if where == EVERYWHERE else f"{PANES[where]}: {action.title}"
                yield SystemCommand(title, action.help, lambda action=action: self._run(action.where, action.call))

    async def _run(self, where: str, call: str) -> None:
        """An action chosen in the palette: its pane is shown first."""
        if where == EVERYWHERE:
            await self.run_action(call, self)
        else:
            self.run_worker(self._run_in_pane(where, call), exit_on_error=False, group="palette")

    async def _run_in_pane(self, where: str, call: str) -> None:
        """Show a pane, let it load what the action is about, and run it."""
        await self._show_pane(where)
        self.action_show(where)
        for worker in [worker for worker in self.workers if worker.group == "short"]:
            with suppress(WorkerError):
                await worker.wait()
        await self.run_action(call, self.pane(where))


def make_pane(name: str) -> Pane:
    """A pane by its id, from ``homeedit.tui.panes.<id>``; each imports what only it needs."""
    module = import_module(f"homeedit.tui.panes.{name}")
    pane: Pane = getattr(module, f"{name.capitalize()}Pane")(id=name)
    return pane
