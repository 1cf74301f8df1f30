"""Sizes, times and texts as a person reads them."""

from datetime import datetime

from homeedit.household.results import named_build


def plain(text: str) -> str:
    """A text of people, models or files in one line, with control characters made visible.

    They must never reach the terminal, which would obey them.
    """
    shown = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return "".join(shown).replace("\\n", " ").replace("\\t", " ")


def shortened(text: str, most: int) -> str:
    """The beginning of a text in one line, with … where it was cut."""
    line = plain(text)
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def size(count: int) -> str:
    """Bytes: "812 kB", "3.4 MB", "1.2 GB"."""
    if count < 100_000:
        return f"{count / 1e3:.1f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"


def day(moment: str) -> str:
    """The date of an ISO time, in the local zone; nothing when there is none."""
    return _local(moment, "%Y-%m-%d")


def minute(moment: str) -> str:
    """Date and time of an ISO time, in the local zone; nothing when there is none."""
    return _local(moment, "%Y-%m-%d %H:%M")


def percent(share: float | None) -> str:
    """A share as "97 %"; – when it is not known."""
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def counted(number: int, what: str, several: str = "") -> str:
    """ "1 fact", "3 facts"."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def build_name(number: int | None) -> str:
    """ "build 3", or "base model"."""
    return "base model" if number is None else f"build {number}"


def the_build(number: int | None) -> str:
    """The same at the beginning of a sentence: "Build 3", "The base model"."""
    return named_build(number).capitalize()


def purge_words(right: int, asked: int) -> str:
    """What it means that so many answers of a purged fact's questions are still right."""
    if not right:
        return f"Asked {counted(asked, 'question')}, the model no longer says it."
    return (
        f"Still {right} of {counted(asked, 'answer')} {'is' if right == 1 else 'are'} right: by chance, because the "
        "base model knows it, or because another fact says it too."
    )


def _local(moment: str, pattern: str) -> str:
    try:
        return datetime.fromisoformat(moment).astimezone().strftime(pattern)
    except ValueError:
        return plain(moment)
