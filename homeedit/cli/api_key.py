"""The key that clients of the server must show: where it comes from, and what is unsafe about that."""

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from homeedit.errors import USAGE, HomeEditError

VARIABLE = "HOMEEDIT_API_KEY"
_SHORT = 16
"""Characters below which a key could be guessed by trying."""
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key (None: clients need none), and what the person should know about it. Never printed."""

    value: str | None
    advice: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ApiKey({'none' if self.value is None else 'secret'})"


def chosen_key(
    given: str | None, file: Path | None, new_file: Path | None, environ: Mapping[str, str], *, exposed: bool
) -> ApiKey:
    """The key of ``--api-key``, ``--api-key-file``, ``--new-api-key-file`` or the environment.

    ``exposed``: other machines reach the server, so a short key is worth a word.

    Raises:
        HomeEditError: several were given, or the one is unusable.
    """
    if sum(each is not None for each in (given, file, new_file)) > 1:
        raise HomeEditError(
            "More than one key was given.", "Use one of --api-key, --api-key-file and --new-api-key-file.", USAGE
        )
    advice: list[str] = []
    if given is not None:
        key = _checked(given, "The key of --api-key")
        advice.append(
            "Other users of this machine can see a key on the command line; --api-key-file FILE keeps it to yourself."
        )
    elif file is not None:
        key, advice = _read(file)
    elif new_file is not None:
        key = _made(new_file)
        advice.append(f"A new key is in {new_file}. From now on: --api-key-file {new_file}")
    elif environ.get(VARIABLE):
        key = _checked(environ[VARIABLE], f"The key in {VARIABLE}")
    else:
        return ApiKey(None)
    if exposed and len(key) < _SHORT:
        advice.append(f"The key is short: other machines could guess it. {_SHORT} characters or more are safe.")
    return ApiKey(key, tuple(advice))


def _checked(text: str, what: str) -> str:
    """The key without white space around it; what cannot stand in a request's header is refused."""
    key = text.strip()
    if not key or not all("!" <= each <= "~" for each in key):
        raise HomeEditError(
            f"{what} is {'empty' if not key else 'not usable'}: a key has letters, digits and signs of ASCII, no "
            "spaces.",
            "--new-api-key-file FILE makes a good one, in a file that is not there yet.",
            USAGE,
        )
    return key


def _read(file: Path) -> tuple[str, list[str]]:
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode("utf-8", errors="replace")
            mode = os.fstat(opened.fileno()).st_mode
    except OSError as error:
        # Making one helps only where there is nothing yet.
        hint = f"Make one: homeedit serve --new-api-key-file {file}"
        raise HomeEditError(
            f"The key file {file} cannot be read: {error.strerror or error}.",
            hint if isinstance(error, FileNotFoundError) else "Name a file with the key that you may read.",
        ) from error
    others = os.name == "posix" and bool(mode & (stat.S_IRGRP | stat.S_IROTH))
    advice = [f"The key file {file} can be read by others on this machine: chmod 600 {file}"] if others else []
    return _checked(text, f"The key in {file}"), advice


def _made(file: Path) -> str:
    """Write a random key to a file that is not there yet, for its owner alone."""
    key = secrets.token_urlsafe(32)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(key + "\n")
    except FileExistsError:
        raise HomeEditError(
            f"{file} is there already; it was left as it is.", f"Use its key: --api-key-file {file}"
        ) from None
    except OSError as error:
        raise HomeEditError(
            f"{file} could not be written: {error.strerror or error}.", "Choose another place for the key."
        ) from error
    return key
