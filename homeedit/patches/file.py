"""The patch file: facts compiled together, as one low-rank change per edited weight.

Bytes of a patch: 2 × rank × (d_model + d_ff) per edited layer, and 2 × d_ff per key and layer.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from homeedit import __version__
from homeedit.editing.delta import Array, Delta, LowRank
from homeedit.errors import HomeEditError
from homeedit.patches.combine import bounded
from homeedit.patches.container import Entry, Header, damaged, encode, read_header, read_tensors, replace_file
from homeedit.patches.facts import FactLike, PatchFact, content, dump_facts, from_fact, load_facts

FORMAT = "homeedit.patch"
VERSION = 1
FILE_NAME = re.compile(r"(p[0-9a-f]{8})-[a-z0-9-]{1,40}\.safetensors")

_FACTOR = re.compile(r"base_model\.model\.model\.layers\.(0|[1-9]\d{0,3})\.mlp\.down_proj\.lora_([AB])\.weight")
_KEYS = re.compile(r"keys\.(0|[1-9]\d{0,3})")
_ID = re.compile(r"p[0-9a-f]{8}")
_MOST_METADATA = 100_000
"""Characters of a metadata value other than the facts."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What a patch file says of itself; the numbers stay on disk until ``load_delta`` or ``load_keys``."""

    id: str
    file: Path
    bytes: int
    facts: tuple[PatchFact, ...]
    base: str
    fingerprint: str
    """sha256 of the base model the patch fits."""
    parents: tuple[str, ...]
    """Patches that were enabled when this one was compiled on top of them."""
    recipe: dict[str, Any]
    seed: int
    created: str
    """ISO 8601 time."""
    homeedit: str
    """Version that wrote it."""
    layers: tuple[int, ...]
    """Edited layers it changes."""
    rank: int
    """Largest rank over its layers."""


def factor_name(layer: int, factor: str) -> str:
    """PEFT's name of the LoRA factor "A" [r, d_ff] or "B" [d_model, r] of a layer's down_proj."""
    return f"base_model.model.model.layers.{layer}.mlp.down_proj.lora_{factor}.weight"


def delta_tensors(delta: Delta) -> dict[str, Array]:
    """A delta under PEFT's LoRA names."""
    tensors: dict[str, Array] = {}
    for layer, change in delta.items():
        tensors[factor_name(layer, "A")] = change.A
        tensors[factor_name(layer, "B")] = change.B
    return tensors


def write_patch(
    edits: Path,
    *,
    delta: Delta,
    keys: Mapping[int, Array],
    facts: Sequence[FactLike],
    base_name: str,
    fingerprint: str,
    parents: Sequence[str],
    recipe: Mapping[str, Any],
    seed: int,
    created: str,
) -> Patch:
    """Write ``edits/<patch-id>-<slug>.safetensors`` in one step; the same inputs give the same bytes.

    Factors and keys are stored in float16, with a rank of at most min(d_model, d_ff). Raises HomeEditError
    for factors that do not fit each other, values float16 cannot hold, or a file that cannot be written;
    ``edits`` is then as it was.
    """
    identity, data = patch_bytes(
        delta=delta,
        keys=keys,
        facts=facts,
        base_name=base_name,
        fingerprint=fingerprint,
        parents=parents,
        recipe=recipe,
        seed=seed,
        created=created,
    )
    path = edits / f"{identity}-{slug(facts[0].subject)}.safetensors"
    replace_file(path, data)
    return read_patch(path)


def patch_bytes(
    *,
    delta: Delta,
    keys: Mapping[int, Array],
    facts: Sequence[FactLike],
    base_name: str,
    fingerprint: str,
    parents: Sequence[str],
    recipe: Mapping[str, Any],
    seed: int,
    created: str,
) -> tuple[str, bytes]:
    """The id and the whole file of a patch, with the arguments of ``write_patch``."""
    if not facts or not delta:
        raise HomeEditError("A patch needs at least one fact and one changed layer.", "Compile facts first.")
    for layer, change in delta.items():
        if change.A.ndim != 2 or change.B.ndim != 2 or change.A.shape[0] != change.B.shape[1]:
            raise HomeEditError(f"The factors of layer {layer} have shapes {change.A.shape}, {change.B.shape}.")
    named_keys = {f"keys.{layer}": array for layer, array in keys.items()}
    tensors = _as_stored(delta_tensors(bounded(delta)) | named_keys)
    carried = [from_fact(fact) for fact in facts]
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "facts": dump_facts(carried),
        "base": base_name,
        "fingerprint": fingerprint,
        "parents": json.dumps(list(parents), separators=(",", ":")),
        "recipe": json.dumps(dict(recipe), sort_keys=True, separators=(",", ":")),
        "seed": str(seed),
        "created": created,
        "homeedit": __version__,
    }
    try:
        load_facts(metadata["facts"])
    except HomeEditError as error:
        raise HomeEditError(
            f"The patch was not written: {error.message}.",
            "Change that fact (homeedit fact edit), then compile.",
        ) from error
    return patch_id(tensors, carried), encode(tensors, metadata)


def patch_id(tensors: Mapping[str, Array], facts: Sequence[PatchFact]) -> str:
    """ "p" and 8 hexadecimal digits of the sha256 over the tensors and the facts' texts (not their ids)."""
    digest = hashlib.sha256(content(facts).encode("utf-8"))
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return "p" + digest.hexdigest()[:8]


def slug(subject: str) -> str:
    """A safe part of a file name from a subject: a-z, 0-9 and single dashes, 1 to 40 characters."""
    letters = unicodedata.normalize("NFKD", subject.casefold()).replace("\u2019", "'")
    plain = re.sub(r"[^a-z0-9]+", "-", re.sub("['\u0300-\u036f]", "", letters))
    return plain[:40].strip("-") or "fact"


def read_patch(file: Path) -> Patch:
    """Read what a patch says of itself: header and metadata, all validated; the tensors are not read.

    A file in ``edits`` carries its id in its name; any other is read to compute it.
    """
    header = read_header(file)
    named = FILE_NAME.fullmatch(file.name)
    try:
        facts = load_facts(header.metadata.get("facts", ""))
        identity = named.group(1) if named else patch_id(read_tensors(file, header.tensors), facts)
        return _describe(file, header, facts, identity)
    except HomeEditError as error:
        # What comes from a reader of metadata says only what is wrong; here it gets the file's name.
        raise error if error.hint else damaged(file, error.message) from error


def load_delta(patch: Patch) -> Delta:
    """The patch's change: per layer A [r, d_ff] and B [d_model, r] as stored (float16)."""
    return read_delta(patch.file)


def read_delta(file: Path) -> Delta:
    """The change in a patch, or in a build's delta.safetensors (which changes nothing when it holds no tensors)."""
    header = read_header(file)
    names = {name: entry for name, entry in header.tensors.items() if _FACTOR.fullmatch(name)}
    try:
        layers = list(factor_shapes(header)) if header.tensors else []
    except HomeEditError as error:
        raise damaged(file, error.message) from error
    tensors = read_tensors(file, names)
    return {layer: LowRank(A=tensors[factor_name(layer, "A")], B=tensors[factor_name(layer, "B")]) for layer in layers}


def load_keys(patch: Patch) -> dict[int, Array]:
    """The keys of the patch's facts per edited layer: [n, d_ff] float16."""
    header = read_header(patch.file)
    names = {name: entry for name, entry in header.tensors.items() if _KEYS.fullmatch(name)}
    tensors = read_tensors(patch.file, names)
    return {int(name.removeprefix("keys.")): tensors[name] for name in sorted(names)}


def factor_shapes(header: Header) -> dict[int, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shapes of A and B per layer; raises HomeEditError for an unknown tensor or a missing factor."""
    found: dict[tuple[int, str], Entry] = {}
    for name, entry in header.tensors.items():
        if match := _FACTOR.fullmatch(name):
            found[int(match.group(1)), match.group(2)] = entry
        elif not _KEYS.fullmatch(name):
            raise HomeEditError(f"it holds a tensor called {name[:80]!r}, which no patch has")
    layers = sorted({layer for layer, _ in found})
    for layer in layers:
        if (layer, "A") not in found or (layer, "B") not in found:
            raise HomeEditError(f"layer {layer} has only one of the factors A and B")
    if not layers:
        raise HomeEditError("it changes no weight")
    return {layer: (found[layer, "A"].shape, found[layer, "B"].shape) for layer in layers}


def _as_stored(tensors: Mapping[str, Array]) -> dict[str, Array]:
    stored: dict[str, Array] = {}
    for name, array in tensors.items():
        with np.errstate(over="ignore"):
            stored[name] = np.asarray(array).astype(np.float16)
        if not np.isfinite(stored[name]).all():
            raise HomeEditError(
                f"The compiled change holds values that float16 cannot ({name}). No patch was written.",
                "Compile again with another seed: change `seed` in homeedit.toml.",
            )
    return stored


def _describe(file: Path, header: Header, facts: tuple[PatchFact, ...], identity: str) -> Patch:
    metadata = header.metadata
    if metadata.get("format") != FORMAT:
        raise HomeEditError(f"it is not a homeedit patch (format {metadata.get('format', 'none')[:40]!r})")
    if metadata.get("version") != str(VERSION):
        raise HomeEditError(
            f"{file.name} is a patch of version {metadata.get('version', 'none')[:10]!r};"
            f" this homeedit reads version {VERSION}. Nothing was changed.",
            "Install the homeedit that wrote it, or a newer one.",
        )
    shapes = factor_shapes(header)
    recipe, parents = _json(metadata, "recipe", dict), _json(metadata, "parents", list)
    if not all(isinstance(parent, str) and _ID.fullmatch(parent) for parent in parents):
        raise HomeEditError("its parents are not ids of patches")
    return Patch(
        id=identity,
        file=file,
        bytes=max((entry.end for entry in header.tensors.values()), default=0),
        facts=facts,
        base=_plain(metadata, "base", r"[\w.+-]{1,100}"),
        fingerprint=_plain(metadata, "fingerprint", r"[0-9a-f]{8,128}"),
        parents=tuple(parents),
        recipe=recipe,
        seed=int(_plain(metadata, "seed", r"-?\d{1,19}")),
        created=_time(metadata),
        homeedit=_plain(metadata, "homeedit", r"[\w.+!-]{1,40}"),
        layers=tuple(shapes),
        rank=max((a[0] if a else 0) for a, _ in shapes.values()),
    )


def _plain(metadata: Mapping[str, str], name: str, pattern: str) -> str:
    value = metadata.get(name, "")
    if not re.fullmatch(pattern, value):
        raise HomeEditError(f"its metadata {name!r} is missing or malformed")
    return value


def _time(metadata: Mapping[str, str]) -> str:
    value = metadata.get("created", "")
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise HomeEditError("its metadata 'created' is not a time") from error
    return value


def _json(metadata: Mapping[str, str], name: str, kind: type) -> Any:
    text = metadata.get(name, "")
    try:
        value = json.loads(text) if len(text) <= _MOST_METADATA else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise HomeEditError(f"its metadata {name!r} is missing or malformed")
    return value
