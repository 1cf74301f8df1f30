"""The unit for systemd: whole words whatever the paths, and what systemd itself says of it."""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homeedit.errors import HomeEditError
from homeedit.server.systemd import user_unit


def unit(home: str = "/home/o/home", *arguments: str) -> str:
    return user_unit([sys.executable, "-m", "homeedit", "--home", home, "serve", *arguments], Path(home))


def test_paths_keep_their_spaces_percents_and_dollars() -> None:
    text = unit("/home/o/100%h of $HOME", "--port", "8080")
    assert f'ExecStart=:{sys.executable} -m homeedit --home "/home/o/100%%h of $HOME" serve --port 8080\n' in text
    assert 'ReadWritePaths="/home/o/100%%h of $HOME"\n' in text


@pytest.mark.parametrize("home", ["/home/o/two\nlines", '/home/o/"quoted"', "/home/o/back\\slash", "/home/o/\x1b[31m"])
def test_what_a_unit_cannot_say_is_refused_in_words(home: str) -> None:
    with pytest.raises(HomeEditError, match="cannot name") as error:
        unit(home)
    assert "\n" not in error.value.message and "\x1b" not in error.value.message


def test_it_may_write_the_home_alone() -> None:
    parsed = configparser.ConfigParser(interpolation=None, delimiters="=", strict=True)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit())
    service = dict(parsed["Service"])
    assert service["ReadWritePaths"] == "/home/o/home"
    assert (service["ProtectSystem"], service["ProtectHome"]) == ("strict", "read-only")
    for wanted in ("NoNewPrivileges", "PrivateTmp", "RestrictNamespaces", "MemoryDenyWriteExecute"):
        assert service[wanted] == "yes"
    assert service["Restart"] == "on-failure"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("name", ["home", "a home of 100% $x"])
def test_systemd_understands_it(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    file = tmp_path / "homeedit.service"

    def verify(text: str) -> subprocess.CompletedProcess[str]:
        file.write_text(text, encoding="utf-8")
        command = ["systemd-analyze", "--user", "verify", "--man=no", str(file)]
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    text = unit(str(home), "--wyoming", "tcp://127.0.0.1:10300")
    done = verify(text)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert verify(text.replace("ProtectSystem=strict", "ProtectSystem=stricter")).stderr, "it would say so"
