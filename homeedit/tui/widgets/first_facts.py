"""What stands in the place of the list while there is nothing to list."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Button, Static

EXAMPLES = (
    "The spare key is under the blue flower pot.",
    "Grandma's birthday is on the 14th of March.",
    "The recycling bin is collected every Thursday.",
)
_FIRST_KEY = 7


class FirstFacts(Vertical):
    """Three example sentences, and what to do next."""

    DEFAULT_CSS = """
    FirstFacts { height: auto; padding: 1 1; }
    FirstFacts Button { margin: 0 0 0 1; width: auto; }
    FirstFacts .next { margin-top: 1; }
    """

    class Chosen(Message):
        """A person wants to begin with this sentence."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self, compile_key: str, import_key: str, ask_key: str) -> None:
        super().__init__()
        self._keys = (compile_key, import_key, ask_key)

    def compose(self) -> ComposeResult:
        welcome = "Nothing is taught yet. Type a sentence, or begin with one of these:"
        compile_key, import_key, ask_key = self._keys
        yield Static(welcome, markup=False)
        yield Static("")
        for number, sentence in enumerate(EXAMPLES, start=_FIRST_KEY):
            yield Button(Text(f"{number}  {sentence}"), id=f"example-{number}", compact=True)
        yield Static(
            "Then Enter stores the sentence, and Escape leaves the line. There,\n"
            f"  {compile_key}  teaches the model,  {ask_key}  asks it,\n"
            f"  {import_key}  takes many sentences at once, pasted or from a file.\n\n"
            "A model cannot keep a secret from those who may ask it:\nleave passwords and codes out.",
            classes="next hint",
            markup=False,
        )

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Begin with this one."""
        event.stop()
        number = int((event.button.id or "").removeprefix("example-"))
        self.post_message(self.Chosen(EXAMPLES[number - _FIRST_KEY]))


class NoHome(Vertical):
    """There is no home, or it cannot be read: says so, and what can be done."""

    DEFAULT_CSS = """
    NoHome { height: auto; padding: 1 1; }
    NoHome Button { margin-top: 1; }
    """

    class Wanted(Message):
        """A person wants a home here, or wants it read again."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def compose(self) -> ComposeResult:
        yield Static("", id="no-home-text", markup=False)
        yield Button("Set it up here", id="set-up", variant="primary")
        yield Button("Try again", id="again")

    def say(self, line: str, hint: str, *, can_set_up: bool) -> None:
        """Say what is wrong; ``can_set_up`` when there is simply no home yet."""
        self.query_one("#no-home-text", Static).update(f"{line}\n{hint}")
        self.query_one("#set-up").display = can_set_up
        self.query_one("#again").display = not can_set_up

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Pass it on."""
        event.stop()
        self.post_message(self.Wanted(event.button.id or ""))
