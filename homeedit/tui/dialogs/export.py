"""Where to write a patch or a build, and in which format."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, RadioButton, RadioSet, Static

from homeedit.errors import HomeEditError
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.history import PatchRow
from homeedit.tui.widgets.paths import PathSuggester, written_path

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

FORMATS = {
    "homeedit": (".safetensors", "homeedit: for another home with the same base model"),
    "peft": ("-peft", "peft: a folder with a LoRA adapter for transformers"),
    "gguf-lora": ("-lora.gguf", "gguf-lora: LoRA for llama.cpp (--lora)"),
}
"""By the name of the format: the end of the suggested name, and what it is for."""


class ExportDialog(ModalScreen[None]):
    """Writes the file itself and stays open when that fails, so that nothing has to be typed again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    ExportDialog RadioSet { width: 1fr; margin-top: 1; }
    ExportDialog Input { margin-top: 1; }
    ExportDialog #export-problem { height: auto; }
    """

    def __init__(self, model: str, *, patch: PatchRow | None = None, build: int | None = None) -> None:
        super().__init__()
        self._patch, self._build = patch, build
        self._name = Path(patch.file).stem if patch else f"{model}-build-{build}"
        self._suggested = ""

    def compose(self) -> ComposeResult:
        what = f"patch {self._patch.id}" if self._patch else f"build {self._build} (the whole model, GGUF)"
        with Vertical(classes="dialog"):
            yield Static(f"Export {what} to", markup=False, classes="heading")
            yield Input(suggester=PathSuggester(), id="path")
            if self._patch is not None:
                with RadioSet(id="format"):
                    for at, (_, title) in enumerate(FORMATS.values()):
                        yield RadioButton(title, value=at == 0)
            yield Static(
                "Whoever has the file has the facts in it. → completes a path, Enter writes.",
                markup=False,
                classes="hint",
            )
            yield Static("", id="export-problem", markup=False, classes="bad")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Export", id="export", variant="primary")

    def on_mount(self) -> None:
        self._suggest()
        self.query_one(Input).focus()

    @property
    def _format(self) -> str:
        if self._patch is None:
            return "gguf"
        return list(FORMATS)[max(0, self.query_one(RadioSet).pressed_index)]

    @on(RadioSet.Changed)
    def _suggest(self) -> None:
        """A name that fits the format, unless a person typed another."""
        path = self.query_one(Input)
        if path.value != self._suggested:
            return
        end = ".gguf" if self._patch is None else FORMATS[self._format][0]
        self._suggested = path.value = str(Path.home() / f"{self._name}{end}")
        path.cursor_position = len(path.value)

    @on(Input.Submitted)
    def _write(self) -> None:
        if not self.query_one(Input).value.strip():
            self._show_problem(HomeEditError("There is no path.", "Type where the file shall be written."))
            return
        out = written_path(self.query_one(Input).value)
        face = cast("HomeEditApp", self.app)
        face.perform(out.exists, lambda there: self._ask(out) if there else self._export(out, force=False), owner=self)

    def _ask(self, out: Path) -> None:
        def answered(sure: bool | None) -> None:
            if sure:
                self._export(out, force=True)

        self.app.push_screen(Confirm("Overwrite it?", f"{out} is already there.", yes="Overwrite"), answered)

    def _export(self, out: Path, *, force: bool) -> None:
        face = cast("HomeEditApp", self.app)
        patch, build, chosen = self._patch, self._build, self._format

        def write() -> None:
            if patch is not None:
                face.household.export_patches([patch.id], out, format_name=chosen, force=force)
            else:
                face.household.export_build(build, out, force=force)

        def written(_: None) -> None:
            face.say(f"Written: {out}")
            self.dismiss()

        self.query_one("#export-problem", Static).update("")
        face.perform(write, written, self._show_problem, owner=self)

    def _show_problem(self, error: HomeEditError) -> None:
        self.query_one("#export-problem", Static).update(f"✗ {error.message} {error.hint}".strip())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Write, or leave it."""
        if event.button.id == "export":
            self._write()
        else:
            self.dismiss()
