"""A pretended accelerator: tensors that say they are on the device "meta", with their values kept on the CPU.

What would fail on a GPU fails here: tensors of two devices in one operation, and, if so asked, float64. So code for
GPUs is run to its end, with its results, on a machine that has none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
_MOVES = {"aten::_to_copy", "aten::copy_"}
_INDEXES = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index"}
"""Operations that take index tensors from the CPU on any device."""


class Elsewhere(torch.Tensor):
    """A tensor on the pretended device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Elsewhere":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Elsewhere({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any], doubles: bool = True) -> Any:
    name = func._schema.name
    given = [part for part in tree_flatten((args, kwargs))[0] if isinstance(part, torch.Tensor)]
    here = [part for part in given if not isinstance(part, Elsewhere) and part.dim() > 0]
    there = [part for part in given if isinstance(part, Elsewhere)]
    if here and there and name not in _MOVES:
        integers = all(part.dtype in (torch.long, torch.bool) for part in here)
        assert name in _INDEXES and integers, f"{name} on tensors of two devices"
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    goes = torch.device(wanted).type == DEVICE.type if wanted is not None else bool(there)
    result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
    if func._schema.is_mutable and given and func._schema.arguments[0].alias_info is not None:
        # What works in place gives back what it was given.
        return args[0]
    if not goes:
        return result
    assert doubles or not any(
        isinstance(part, torch.Tensor) and part.dtype == torch.float64 for part in tree_flatten(result)[0]
    ), f"{name} in float64"
    return tree_map(lambda part: Elsewhere(part) if isinstance(part, torch.Tensor) else part, result)


def _inner(part: Any) -> Any:
    return part.inner if isinstance(part, Elsewhere) else part


class _Factories(TorchDispatchMode):
    def __init__(self, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {}, self.doubles)


_ITEMS = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


def _indexes(given: Any) -> Any:
    """Lists among indexes as tensors."""
    if isinstance(given, tuple):
        return tuple(map(_indexes, given))
    return torch.tensor(given, dtype=torch.long) if isinstance(given, list) else given


class _Literals(TorchFunctionMode):
    """``torch.tensor``, and a list as an index, make nothing on the device "meta" but a shape; so they are made here,
    and moved."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        wanted = given.get("device")
        if func is torch.tensor and wanted is not None and torch.device(wanted).type == DEVICE.type:
            return func(*args, **{**given, "device": "cpu"}).to(DEVICE)
        if func in _ITEMS and isinstance(args[0], Elsewhere):
            args = (args[0], _indexes(args[1]), *args[2:])
        if func is torch.Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].inner.tolist()
        return func(*args, **given)


@contextmanager
def elsewhere(*, doubles: bool = True) -> Iterator[str]:
    """Let a device be pretended, and give its name. ``doubles``: whether it has float64 (MPS has none)."""
    with _Factories(doubles), _Literals():
        yield DEVICE.type
