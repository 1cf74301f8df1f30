"""Choosing a quantization: llama.cpp's own quantizer makes the file, edited layers keep their type, builds only
splice."""

import ctypes
import time
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import pytest

from homeedit.base.add import Choices, add_base
from homeedit.base.gguf_file import GgufFile, read_gguf, write_copy
from homeedit.base.llama_log import llama_library
from homeedit.base.load import read_down_proj
from homeedit.base.quantize import quantize_rows
from homeedit.base.quantizing import QUANTIZATIONS, default_quantization, quantize_model
from homeedit.base.sources import EMBEDDED
from homeedit.base.store import BaseModel, check_base, open_base
from homeedit.builds.build import make_build
from homeedit.builds.link import link
from homeedit.builds.merge import merge
from homeedit.errors import USAGE, Cancelled, HomeEditError
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime
from tests.builds.helpers import CREATED, random_patch
from tests.support.tiny import make_tiny_gguf

KINDS = gguf.GGMLQuantizationType


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers whose rows are long enough for every type."""
    return make_tiny_gguf(tmp_path_factory.mktemp("wide") / "wide.gguf", d_model=256, d_ff=512)


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.counts: dict[str, list[int]] = {}

    def on_stage(self, name: str, total: int | None) -> None:
        self.counts[name] = [total or 0, 0]

    def on_advance(self, count: int, note: str) -> None:
        list(self.counts.values())[-1][1] += count

    def on_say(self, line: str) -> None:
        self.lines.append(line)


def bring(models: Path, source: Path, progress: Progress | None = None, **choices: str | None) -> BaseModel:
    return add_base(
        models,
        str(source),
        name="wide",
        choose_layers=lambda layers: (1,),
        threads=1,
        progress=progress or Progress(),
        choices=Choices(**choices),  # type: ignore[arg-type]
    )


def types_of(file: GgufFile) -> dict[str, str]:
    return {name: KINDS(tensor.type).name for name, tensor in file.tensors.items()}


@pytest.mark.parametrize(
    ("quantization", "gate", "mixture"),
    [("Q4_K_M", "Q4_K", 15), ("Q5_K_M", "Q5_K", 17), ("Q6_K", "Q6_K", 18), ("Q8_0", "Q8_0", 7), ("F16", "F16", 1)],
)
def test_the_mixture_asked_for(source: Path, tmp_path: Path, quantization: str, gate: str, mixture: int) -> None:
    base = bring(tmp_path, source, quantization=quantization.lower())
    found = read_gguf(base.gguf)
    types = types_of(found)
    edited = "F16" if quantization == "F16" else "Q8_0"
    assert types["blk.0.ffn_gate.weight"] == gate
    assert types["blk.1.ffn_down.weight"] == edited == base.edited_type
    assert found.metadata["general.file_type"] == mixture
    assert found.raw("blk.1.ffn_down.weight").tobytes() == quantize_rows(
        read_down_proj(base, 1).astype(np.float32), int(KINDS[edited])
    )
    assert (base.quantization, open_base(tmp_path, "wide")) == (quantization, base)
    assert check_base(base) == []
    with Runtime(base.gguf, threads=1, context=256):
        pass


def test_the_fingerprint_does_not_depend_on_it(source: Path, tmp_path: Path) -> None:
    plain = bring(tmp_path / "a", source)
    assert plain.quantization == "as it came"
    assert bring(tmp_path / "b", source, quantization="Q4_K_M").fingerprint == plain.fingerprint


def test_nobody_chose_the_types_of_the_embedded_model(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeedit.base.sources.embedded_file", lambda: source)
    assert bring(tmp_path / "a", Path(EMBEDDED)).quantization == "Q8_0"
    assert bring(tmp_path / "b", Path(EMBEDDED), quantization="Q4_K_M").quantization == "Q4_K_M"
    assert source.is_file()


def test_tensors_are_counted_and_the_time_is_told(source: Path, tmp_path: Path) -> None:
    heard = Heard()
    bring(tmp_path, source, heard, quantization="Q4_K_M", edited_type="Q6_K")
    total, done = heard.counts["quantizing to Q4_K_M"]
    assert total == done == len(read_gguf(source).tensors)
    assert any("Q4_K_M in " in line and "kept at Q6_K" in line for line in heard.lines)


def test_what_it_has_already_is_not_made_again(tmp_path: Path) -> None:
    plain = make_tiny_gguf(tmp_path / "plain.gguf", d_model=256, d_ff=512)
    quantized = tmp_path / "quantized.gguf"
    quantize_model(plain, quantized, "Q4_K_M", threads=1, progress=Progress())
    heard = Heard()
    base = bring(tmp_path / "models", quantized, heard, quantization="Q4_K_M")
    assert base.quantization == "Q4_K_M" and "quantizing to Q4_K_M" not in heard.counts
    assert bring(tmp_path / "others", quantized).quantization == "Q4_K_M, as it came"


def fully_quantized(source: GgufFile, types: Mapping[str, str], number: int, out: Path) -> bytes:
    """One run of llama.cpp's quantizer with every tensor's type given."""
    library = llama_library()
    pins = [(f"^{name}$".replace(".", r"\.").encode(), int(KINDS[kind])) for name, kind in types.items()]
    overrides = (library.llama_model_tensor_override * (len(pins) + 1))(*pins)
    parameters = library.llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype, parameters.allow_requantize = 1, number, True
    parameters.token_embedding_type = int(KINDS[types["token_embd.weight"]])
    parameters.tt_overrides = ctypes.cast(overrides, type(parameters.tt_overrides))
    done = library.llama_model_quantize(str(source.path).encode(), str(out).encode(), ctypes.byref(parameters))
    assert done == 0
    return out.read_bytes()


@pytest.mark.parametrize(("quantization", "edited"), [("Q4_K_M", "Q8_0"), ("Q5_K_M", "Q6_K"), ("Q8_0", "F16")])
def test_a_spliced_build_equals_a_full_run_with_the_same_types(
    source: Path, tmp_path: Path, quantization: str, edited: str
) -> None:
    base = bring(tmp_path, source, quantization=quantization, edited_type=edited)
    patch = random_patch(base, tmp_path / "edits")
    built = make_build(base, [patch], number=1, created=CREATED, threads=1, progress=Progress())
    merged = merge(read_down_proj(base, 1), link([patch])[1])
    assert not np.array_equal(merged, read_down_proj(base, 1))
    whole = tmp_path / "merged.gguf"
    write_copy(read_gguf(source), whole, {"blk.1.ffn_down.weight": (int(KINDS.F16), merged.tobytes)})
    types = types_of(read_gguf(base.gguf))
    full = fully_quantized(read_gguf(whole), types, QUANTIZATIONS[quantization].number, tmp_path / "full.gguf")
    assert types_of(read_gguf(tmp_path / "full.gguf")) == types
    assert built.gguf.read_bytes() == full


def test_a_build_of_nothing_is_the_base(source: Path, tmp_path: Path) -> None:
    base = bring(tmp_path, source, quantization="Q4_K_M")
    built = make_build(base, [], number=1, created=CREATED, threads=1, progress=Progress())
    assert built.gguf.read_bytes() == base.gguf.read_bytes()


def test_safetensors_are_quantized_by_size() -> None:
    assert [default_quantization(count) for count in (10**8, 10**9, 3 * 10**9)] == ["Q8_0", "Q8_0", "Q4_K_M"]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"quantization": "Q3_K"}, "no quantization 'Q3_K'"),
        ({"edited_type": "Q4_K"}, "edits would not survive"),
    ],
)
def test_names_that_are_refused(source: Path, tmp_path: Path, choices: dict[str, str], words: str) -> None:
    with pytest.raises(HomeEditError, match=words) as caught:
        bring(tmp_path, source, **choices)
    assert caught.value.exit_code == USAGE and "Q8_0" in caught.value.hint
    assert not any(tmp_path.iterdir())


def test_a_type_that_the_rows_do_not_fit(tmp_path: Path) -> None:
    narrow = make_tiny_gguf(tmp_path / "narrow.gguf", d_ff=96)
    with pytest.raises(HomeEditError, match="cannot be kept at Q6_K: their rows have 96 values"):
        bring(tmp_path / "models", narrow, edited_type="Q6_K")


def test_a_file_that_llama_cpp_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(HomeEditError, match=r"could not quantize odd.gguf to Q8_0: .*\w"):
        quantize_model(path, tmp_path / "out.gguf", "Q8_0", threads=1, progress=Progress())
    assert not (tmp_path / "out.gguf").exists()


def test_cancelling_ends_the_quantizer(source: Path, tmp_path: Path) -> None:
    class Impatient(Progress):
        def on_stage(self, name: str, total: int | None) -> None:
            if name.startswith("quantizing"):
                self.cancel()

    began = time.monotonic()
    with pytest.raises(Cancelled):
        bring(tmp_path, source, Impatient(), quantization="Q4_K_M")
    assert not any(tmp_path.iterdir())
    assert time.monotonic() - began < 60
