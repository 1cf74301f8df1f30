"""What a compile keeps from growing: asked for in a process of its own, as the settings are read once."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeedit.editing import memory

GROWTH = """
import sys
from pathlib import Path
import torch
from homeedit.editing.memory import use_threads

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "small":
    use_threads(1)
else:
    torch.set_num_threads(1)
weight = torch.ones(256, 256, dtype=torch.bfloat16)
torch.nn.functional.linear(torch.ones(1, 256, dtype=torch.bfloat16), weight)
before = resident()
for rows in range(2, 302):
    torch.nn.functional.linear(torch.ones(rows, 256, dtype=torch.bfloat16), weight)
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
def test_kernels_of_many_shapes_are_not_all_kept() -> None:
    unset = {name: value for name, value in os.environ.items() if name not in memory.KERNELS}

    def grown(how: str) -> int:
        command = [sys.executable, "-c", GROWTH, how]
        return int(subprocess.run(command, env=unset, check=True, capture_output=True, text=True).stdout)

    as_it_is = grown("as it is")
    if as_it_is < 20_000_000:
        pytest.skip("this processor's kernels are not kept by shape")
    assert grown("small") < as_it_is / 2


def test_what_the_user_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = memory.KERNELS
    monkeypatch.setenv(first, "7")
    for name in others:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    memory.use_threads(1)
    assert os.environ[first] == "7"
    assert [os.environ[name] for name in others] == [str(memory.KERNELS[name]) for name in others]


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_other_c_libraries_are_no_failure(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def library(_: Any) -> Any:
        raise error("not here")

    monkeypatch.setattr(ctypes, "CDLL", library)
    memory.use_threads(1)
    memory.give_back()
