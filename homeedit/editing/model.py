"""The model as the editor sees it: fixed below the first edited layer, open from there on.

Nothing below the first edited layer changes during a compile, so every row is run through those layers once
and training starts from its stored hidden state. The system-prompt prefix that every chat turn shares is
run once too: deltas are kept out of its keys, so its attention keys and values never change.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from homeedit.base.architecture import Architecture
from homeedit.editing.delta import Delta
from homeedit.editing.head import Head, head_of
from homeedit.editing.layers import NOWHERE, causal_mask, layer_kinds, rotary_angles, window_of
from homeedit.editing.operations import ATTENTION, quick_norms


class _Recording(local):
    """What each thread notes for itself."""

    keys: list[Tensor] | None = None
    slopes: "list[Slopes] | None" = None


Slopes = tuple[Tensor, Tensor]
"""∂L/∂y [n, d_model] and k [n, d_ff] of the n tokens that went through an edited layer y = W k + Δ k."""


class _Changed(torch.autograd.Function):
    """Δ k. The gradient with respect to Δ, a sum over all rows of ∂L/∂y kᵀ, is left to be formed in one product: what
    it is made of goes into the list ``slopes``."""

    @staticmethod
    def forward(ctx: Any, key: Tensor, change: Tensor, slopes: list[Slopes]) -> Tensor:
        ctx.save_for_backward(key, change)
        ctx.slopes = slopes
        return functional.linear(key, change)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, None, None]:
        key, change = ctx.saved_tensors
        ctx.slopes.append((outer[0].flatten(0, -2), key.detach().flatten(0, -2)))
        return (outer[0] @ change if ctx.needs_input_grad[0] else None), None, None


class EditedLinear(torch.nn.Module):
    """``mlp.down_proj`` with a change beside its weight: y = W k + Δ k.

    ``change`` is Δ [d_model, d_ff] or None. While ``recording.keys`` is a list, the inputs (the keys) that this thread
    sends through go there; while ``recording.slopes`` is one, what the change's gradient is made of does.
    """

    def __init__(self, original: torch.nn.Linear) -> None:
        super().__init__()
        self.weight = original.weight
        self.bias = original.bias
        self.change: Tensor | None = None
        self.recording = _Recording()

    def forward(self, key: Tensor) -> Tensor:
        """Return the output [..., d_model] for keys [..., d_ff]."""
        if self.recording.keys is not None:
            self.recording.keys.append(key.detach())
        out = functional.linear(key, self.weight, self.bias)
        if self.change is not None:
            slopes = self.recording.slopes
            changed = functional.linear(key, self.change) if slopes is None else _changed(key, self.change, slopes)
            out = out + changed
        return out


def _changed(key: Tensor, change: Tensor, slopes: list[Slopes]) -> Tensor:
    found: Tensor = _Changed.apply(key, change, slopes)  # type: ignore[no-untyped-call]
    return found


class PrefixCache:
    """Attention keys and values of tokens that stand before those of every row: behind what all rows share
    (``shared``), if they do, each row's own or those of one for all.

    The one method that the decoder layers of transformers call on a cache.
    """

    def __init__(self, keys: dict[int, Tensor], values: dict[int, Tensor], shared: "PrefixCache | None" = None) -> None:
        self.keys, self.values, self.shared = keys, values, shared

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return ([batch, heads, before + length, d_head]) keys and values; nothing is stored."""
        held = [cache for cache in (self.shared, self) if cache is not None and cache.keys]
        rows = key.shape[0]
        return (
            torch.cat([*(cache.keys[layer_idx].expand(rows, -1, -1, -1) for cache in held), key], dim=2),
            torch.cat([*(cache.values[layer_idx].expand(rows, -1, -1, -1) for cache in held), value], dim=2),
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """What rows begin with, run already: its attention keys and values, the positions [rows or 1, seen] of its tokens
    (``NOWHERE``: of none of the row's), and the position [rows or 1] at which each row goes on."""

    cache: PrefixCache
    positions: Tensor
    ends: Tensor

    def of(self, rows: Tensor) -> "Begun":
        """What these rows [n] begin with; what all rows share is theirs too."""
        if len(self.positions) == 1:
            return self
        cache = self.cache
        keys, values = ({layer: held[rows] for layer, held in each.items()} for each in (cache.keys, cache.values))
        return Begun(PrefixCache(keys, values, cache.shared), self.positions[rows], self.ends[rows])


class _Recorder(PrefixCache):
    """A cache that keeps what it is given, behind what is shared, to make a ``PrefixCache`` of one pass."""

    def __init__(self, shared: PrefixCache | None = None) -> None:
        super().__init__({}, {}, shared)

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Return as any other, and keep ([batch, heads, length, d_head]), keys and values."""
        seen = self.shared.update(key, value, layer_idx) if self.shared else (key, value)
        self.keys[layer_idx], self.values[layer_idx] = key, value
        return seen


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of similar length, right-padded: ids [rows, length]; all with the shared prefix or all without."""

    ids: Tensor
    prefixed: bool


class EditableModel:
    """A causal language model whose ``down_proj`` of some layers can be changed and observed.

    It works in the given transformers model, which ``release`` gives back as it was. Memory: the model once in
    ``dtype``; nothing else that grows with it. Raises nothing of its own.
    """

    def __init__(
        self, model: Any, architecture: Architecture, edited_layers: Sequence[int], prefix: Sequence[int]
    ) -> None:
        self.model = model
        self._kinds = layer_kinds(model.config)
        self.layers = model.get_submodule(architecture.layers_path)
        self.decoder = model.get_submodule(architecture.layers_path.rpartition(".")[0])
        self.edited_layers = tuple(edited_layers)
        self.first = min(self.edited_layers)
        self.device = model.get_input_embeddings().weight.device
        self.dtype = model.get_input_embeddings().weight.dtype
        self.head: Head = head_of(model)
        self.edited: dict[int, EditedLinear] = {}
        self.standing: dict[int, Tensor] = {}
        self.prefix = torch.tensor([list(prefix)], device=self.device)
        self.prefix_keys: dict[int, Tensor] = {}
        self._originals: dict[str, torch.nn.Module] = {}
        self._attention = model.config._attn_implementation
        try:
            self._take_over(architecture)
            self._begun = {True: self._run_prefix(), False: self._nothing()}
        except BaseException:
            self.release()
            raise

    def _take_over(self, architecture: Architecture) -> None:
        """Replace what this class does otherwise than the transformers model."""
        self.model.set_attn_implementation(ATTENTION)
        for name, norm in quick_norms(self.decoder).items():
            self._replace(name, norm)
        for layer in self.edited_layers:
            name = f"{architecture.layers_path.rpartition('.')[2]}.{layer}.{architecture.down_proj}"
            self.edited[layer] = EditedLinear(self.decoder.get_submodule(name))
            self._replace(name, self.edited[layer])

    def _replace(self, name: str, module: torch.nn.Module) -> None:
        """Put a module in the place of one of the decoder's, until ``release``."""
        self._originals[name] = self.decoder.get_submodule(name)
        self.decoder.set_submodule(name, module)

    def release(self) -> None:
        """Leave the transformers model as it was; this one is of no use then."""
        for name, original in self._originals.items():
            self.decoder.set_submodule(name, original)
        self.model.set_attn_implementation(self._attention)

    def _nothing(self) -> Begun:
        return Begun(PrefixCache({}, {}), self._positions(0, 0), self._positions(0, 1)[0])

    def _positions(self, start: int, length: int) -> Tensor:
        return torch.arange(start, start + length, device=self.device)[None]

    def _run_prefix(self) -> Begun:
        length = self.prefix.shape[1]
        if length == 0:
            width = self.edited[self.first].weight.shape[1]
            self.prefix_keys = {layer: torch.zeros(0, width, device=self.device) for layer in self.edited_layers}
            return self._nothing()
        recorder = _Recorder()
        with torch.no_grad(), self.recording() as keys:
            hidden = self.model.get_input_embeddings()(self.prefix)
            self._run(hidden, range(len(self.layers)), recorder, self._positions(0, 0), self._positions(0, length))
        self.prefix_keys = {layer: torch.cat(found).flatten(0, 1) for layer, found in keys.items()}
        begun = PrefixCache(recorder.keys, recorder.values)
        return Begun(begun, self._positions(0, length), self._positions(length, 1)[0])

    def lower(self, batch: Batch) -> Tensor:
        """Hidden states [rows, length, d_model] that enter the first edited layer; no gradients."""
        with torch.no_grad():
            hidden = self.model.get_input_embeddings()(batch.ids)
            return self.through(hidden, range(self.first), batch.prefixed)

    def upper(self, hidden: Tensor, prefixed: bool, until: int | None = None) -> Tensor:
        """Run the layers from the first edited one on (up to and with layer ``until``, else all and the norm)."""
        last = len(self.layers) if until is None else until + 1
        hidden = self.through(hidden, range(self.first, last), prefixed)
        return self.decoder.norm(hidden) if until is None else hidden

    def begin(self, beginnings: Sequence[Tensor], prefixed: bool, after: int) -> Begun:
        """What rows begin with in the layers above ``after``, of each one's first hidden states [n, d_model]."""
        before, rows = self._begun[prefixed], len(beginnings)
        lengths = torch.tensor([len(states) for states in beginnings], device=self.device)
        longest = max(len(states) for states in beginnings)
        if longest == 0:
            return before
        hidden = torch.nn.utils.rnn.pad_sequence(list(beginnings), batch_first=True, padding_side="left")
        places = self._positions(0, longest) - (longest - lengths)[:, None]
        positions = (places + before.ends).masked_fill(places < 0, NOWHERE)
        recorder = _Recorder(before.cache)
        with torch.no_grad():
            self._run(hidden, range(after + 1, len(self.layers)), recorder, before.positions, positions)
        found = PrefixCache(recorder.keys, recorder.values, before.cache)
        return Begun(found, torch.cat([before.positions.expand(rows, -1), positions], dim=1), before.ends + lengths)

    def resume(self, hidden: Tensor, begun: Begun, after: int) -> Tensor:
        """Run the layers above layer ``after`` and the norm, for what follows what ``begin`` was given: hidden states
        [rows, length, d_model]."""
        layers, at = range(after + 1, len(self.layers)), begun.ends[:, None] + self._positions(0, hidden.shape[1])
        cache = begun.cache if begun.cache.keys else None
        last: Tensor = self.decoder.norm(self._run(hidden, layers, cache, begun.positions, at))
        return last

    @contextmanager
    def recording(self) -> Iterator[dict[int, list[Tensor]]]:
        """Collect the keys of every edited layer that this thread computes while the context is open."""
        found: dict[int, list[Tensor]] = {layer: [] for layer in self.edited_layers}
        with self._noting("keys", found):
            yield found

    @contextmanager
    def sloping(self) -> Iterator[dict[int, list[Slopes]]]:
        """Collect what the changes' gradients are made of, of all that this thread runs while the context is open and
        then sends back. The changes must ask for gradients; they get none."""
        found: dict[int, list[Slopes]] = {layer: [] for layer in self.edited_layers}
        with self._noting("slopes", found):
            yield found

    @contextmanager
    def _noting(self, what: str, found: Mapping[int, list[Any]]) -> Iterator[None]:
        """Let every edited layer note ``what`` of this thread in its list."""
        for layer, linear in self.edited.items():
            setattr(linear.recording, what, found[layer])
        try:
            yield
        finally:
            for linear in self.edited.values():
                setattr(linear.recording, what, None)

    def stand_on(self, delta: Delta) -> None:
        """Fix the change of the patches that a compile stands on.

        Kept dense, and summed with the change under way once a step: two products a layer and token, however many
        patches there are. (Their factors would cost more than that from rank 419 of SmolLM2's layers on.)
        """
        for layer, low_rank in delta.items():
            A, B = (torch.from_numpy(part).to(self.device, self.dtype) for part in (low_rank.A, low_rank.B))
            self.standing[layer] = B @ A
        self.change(None)

    def change(self, changes: dict[int, Tensor] | None) -> None:
        """Set the change Δ [d_model, d_ff] under way of every edited layer, or none, on top of what it stands on."""
        for layer, linear in self.edited.items():
            parts = [of[layer] for of in (self.standing, changes or {}) if layer in of]
            linear.change = sum(parts[1:], parts[0]) if parts else None

    @contextmanager
    def pristine(self) -> Iterator[None]:
        """The base model: without the change under way and without the patches it stands on."""
        kept = {layer: linear.change for layer, linear in self.edited.items()}
        for linear in self.edited.values():
            linear.change = None
        try:
            yield
        finally:
            for layer, linear in self.edited.items():
                linear.change = kept[layer]

    def through(self, hidden: Tensor, layers: range, prefixed: bool) -> Tensor:
        """Run hidden states [rows, length, d_model] through some layers, after the shared prefix or without it."""
        begun = self._begun[prefixed]
        at = begun.ends[:, None] + self._positions(0, hidden.shape[1])
        return self._run(hidden, layers, begun.cache if begun.cache.keys else None, begun.positions, at)

    def _run(self, hidden: Tensor, layers: range, cache: Any, before: Tensor, at: Tensor) -> Tensor:
        """Run decoder layers on tokens at positions ``at`` [rows or 1, length] after others at ``before`` [rows or 1,
        past], with a causal mask, each layer as its kind wants it.

        Padding on the right needs no mask of its own: no real token looks there.
        """
        config, rotary = self.model.config, self.decoder.rotary_emb
        kinds = {self._kinds[index] for index in layers}
        masks = {kind: causal_mask(at, before, window_of(config, kind), hidden) for kind in kinds}
        turned = at % NOWHERE  # some models scale their angles by the last position
        angles = {kind: rotary_angles(rotary, hidden, turned, kind) for kind in kinds}
        for index in layers:
            kind = self._kinds[index]
            hidden = self.layers[index](
                hidden,
                attention_mask=masks[kind],
                position_ids=turned,
                past_key_values=cache,
                use_cache=cache is not None,
                position_embeddings=angles[kind],
            )
        return hidden
