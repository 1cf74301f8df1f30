"""One setting changed in ``homeedit.toml``, every other line and comment left as it stands; and where each of
the settings comes from."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from homeedit.errors import USAGE, HomeEditError
from homeedit.household.results import SettingValue
from homeedit.settings import (
    Home,
    Settings,
    allowed,
    checked_values,
    line_of,
    quoted,
    read_settings,
    replace_settings,
)

_VALUE = r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^#\s]+)"""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def setting_values(home: Home, settings: Settings, device: str | None) -> list[SettingValue]:
    """Every setting as it holds now; ``device`` is the one that was asked for this time only."""
    text = read_settings(home)
    stored = checked_values(home, text)
    values = []
    for each in fields(Settings):
        source = f"{home.settings_file.name}, line {line_of(text, each.name)}" if each.name in stored else "default"
        if each.name == "device" and device:
            source = "--device"
        described = each.metadata
        values.append(
            SettingValue(each.name, getattr(settings, each.name), source, described["text"], described["allowed"])
        )
    return values


def change_setting(home: Home, name: str, value: object) -> None:
    """Change or append the one line of the settings file that sets ``name``.

    A key of the app is named ``keys.ACTION``. A number may be given as text.

    Raises:
        HomeEditError: there is no such setting, the value is not allowed, or the line cannot be found; the file
            is then as it was.
    """
    table, _, action = name.partition(".")
    wanted = _checked(name, table, action, value)
    text = read_settings(home)
    changed = _with_line(text, table if action else "", action or name, wanted)
    try:
        found = checked_values(home, changed)
        others = _without(found, table, action) == _without(checked_values(home, text), table, action)
    except HomeEditError as error:
        raise HomeEditError(f"{error.message} Nothing was changed.", error.hint, error.exit_code) from error
    now = found[table].get(action) if action else found[name]
    if not others or now != wanted:
        raise HomeEditError(
            f"{name} could not be changed: {home.settings_file} spells it in more than one line. Nothing was changed.",
            "Change it there by hand.",
        )
    replace_settings(home, changed)


def _checked(name: str, table: str, action: str, value: object) -> int | str:
    """The value as it is written; raises HomeEditError when it is not allowed."""
    known = {each.name: each for each in fields(Settings)}
    if table not in known or bool(action) != (table == "keys"):
        names = ", ".join(each for each in known if each != "keys")
        raise HomeEditError(f"There is no setting {name!r}.", f"Settings: {names}, and keys.ACTION.", USAGE)
    if isinstance(known[table].default, int) and isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
        value = int(value)
    whole: object = {action: value} if action else value
    if not isinstance(value, int | str) or not allowed(table, whole):
        raise HomeEditError(
            f"{name} = {value!r} is not allowed. Nothing was changed.",
            f"Allowed: {known[table].metadata['allowed']}.",
            USAGE,
        )
    return value


def _with_line(text: str, table: str, name: str, value: int | str) -> str:
    """The file's text with the line of ``name`` in ``table`` (empty: before all tables) changed or put in."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    written = str(value) if isinstance(value, int) else quoted(value)
    first, last = _part(lines, table)
    spellings = "|".join(re.escape(each) for each in (name, quoted(name), f"'{name}'"))
    sets = re.compile(rf"\ufeff?\s*(?:{spellings})\s*=\s*{_VALUE}")
    for number in range(first, last):
        if match := sets.match(lines[number]):
            start, stop = match.span("value")
            lines[number] = lines[number][:start] + written + lines[number][stop:]
            return "".join(lines)
    at = _place(lines, first, last)
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += end
    header = [f"{end}[{table}]{end}"] if table and not any(_header(line) == table for line in lines) else []
    spelled = name if _BARE.fullmatch(name) else quoted(name)
    return "".join([*lines[:at], *header, f"{spelled} = {written}{end}", *lines[at:]])


def _header(line: str) -> str | None:
    """The name of the table that a line begins, if it begins one."""
    match = re.match(r"\ufeff?\s*\[+\s*([^\]]*?)\s*\]", line)
    return match[1].strip("\"'") if match else None


def _part(lines: list[str], table: str) -> tuple[int, int]:
    """First line and end of a table's own lines; of what stands before all tables, if it is empty."""
    headers = [number for number, line in enumerate(lines) if _header(line) is not None]
    if not table:
        return 0, headers[0] if headers else len(lines)
    for number in headers:
        if _header(lines[number]) == table:
            return number + 1, next((other for other in headers if other > number), len(lines))
    return len(lines), len(lines)


def _place(lines: list[str], first: int, last: int) -> int:
    """Where a new line goes: behind the last one that sets something, as comments belong to what follows them."""
    if last == len(lines):
        return last
    setting = [number for number in range(first, last) if re.match(r"\s*[^#\s]", lines[number])]
    return setting[-1] + 1 if setting else first


def _without(values: Mapping[str, Any], table: str, action: str) -> dict[str, Any]:
    """The values of a settings file but the one that changes."""
    others = {name: value for name, value in values.items() if name != table}
    if action:
        others |= {f"keys.{name}": key for name, key in values.get("keys", {}).items() if name != action}
    return others
