"""What a short Household method says to the person."""

from homeedit.progress import Progress


class Said(Progress):
    """Keeps the lines of talk."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def on_say(self, line: str) -> None:
        self.lines.append(line)
