"""Tags: short words of the household by which facts are found. They are no part of what is taught."""

import unicodedata
from collections.abc import Iterable

from homeedit.errors import USAGE, HomeEditError

MOST_CHARACTERS = 30


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags as they are kept: casefolded, sorted, each once.

    Raises:
        HomeEditError: a tag is empty, longer than 30 characters, or holds white space, a comma or a control
            character.
    """
    return tuple(sorted({_clean(tag) for tag in tags}))


def _clean(tag: str) -> str:
    clean = unicodedata.normalize("NFC", tag.casefold())
    if not 0 < len(clean) <= MOST_CHARACTERS or "," in clean or any(_is_no_part(each) for each in clean):
        raise HomeEditError(
            f"{tag[:40]!r} cannot be a tag.",
            f"A tag has 1 to {MOST_CHARACTERS} characters, no white space and no comma.",
            USAGE,
        )
    return clean


def _is_no_part(character: str) -> bool:
    return character.isspace() or not character.isprintable()
