"""Editing methods: each names its parts; a new method is one small file and one line here."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from homeedit.editing.methods import alphaedit, joint

METHODS: dict[str, Callable[..., tuple[dict[int, tuple[Tensor, Tensor]], dict[str, Any]]]] = {
    "joint": joint.run,
    "alphaedit": alphaedit.run,
}
