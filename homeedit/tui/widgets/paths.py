"""Completing the path of a file while it is typed."""

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester


class PathSuggester(Suggester):
    """Suggests the first folder, or file with one of the suffixes, that begins as what was typed."""

    def __init__(self, *suffixes: str) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """What the path may become. A folder may be slow to list, so a thread does."""
        return await asyncio.to_thread(self._complete, value) if value else None

    def _complete(self, value: str) -> str | None:
        folder, begun = os.path.split(value)
        try:
            with os.scandir(Path(folder or ".").expanduser()) as entries:
                found = sorted((entry.name, entry.is_dir()) for entry in entries)
        except (OSError, RuntimeError, ValueError):
            return None
        for name, is_folder in found:
            if not name.startswith(begun) or (name.startswith(".") and not begun):
                continue
            if is_folder or name.endswith(self._suffixes or ("",)):
                whole = os.path.join(folder, name)
                return whole + os.sep if is_folder else whole
        return None


def written_path(text: str) -> Path:
    """The path that a person typed, with ~ for the home folder."""
    try:
        return Path(text.strip()).expanduser().absolute()
    except RuntimeError:
        return Path(text.strip()).absolute()
