"""A whole model quantized by llama.cpp, in a process of its own, where it can be watched and stopped.

``llama_model_quantize`` is one long call in C: it cannot be interrupted, tells how far it is in its log only, and
ends the process where something is wrong with a file. ``python -m homeedit.base.quantizing`` makes that call.
"""

import ctypes
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from homeedit.errors import USAGE, HomeEditError
from homeedit.progress import Progress


@dataclass(frozen=True, slots=True)
class Quantization:
    """A mixture of types as llama.cpp names it: its number there, and the bits that a weight takes on average."""

    name: str
    number: int
    bits: float


QUANTIZATIONS = {
    each.name: each
    for each in (
        Quantization("Q4_K_M", 15, 4.9),
        Quantization("Q5_K_M", 17, 5.7),
        Quantization("Q6_K", 18, 6.6),
        Quantization("Q8_0", 7, 8.5),
        Quantization("F16", 1, 16.0),
    )
}
"""What a model can be quantized to, smallest first."""

EDITED_TYPES = ("Q8_0", "Q6_K", "F16")
"""Types in which edits survive (measured: .98 of an edit at Q6_K, all of it at Q8_0, a quarter at Q4_K)."""

_LARGE = 10**9
"""Parameters up to which a model is kept at Q8_0 unless something else is asked for."""
_COUNT = re.compile(rb"^\[\s*(\d+)/\s*(\d+)\]")


def default_quantization(parameters: int) -> str:
    """What weights are quantized to where nothing was asked for: small models suffer most from few bits."""
    return "Q8_0" if parameters <= _LARGE else "Q4_K_M"


def checked_quantization(name: str | None) -> str | None:
    """The name as it is spelled here. Raises HomeEditError (exit code 2) when there is none like it."""
    if name is None:
        return None
    if name.upper() not in QUANTIZATIONS:
        raise HomeEditError(f"There is no quantization {name!r}.", f"Choose of {', '.join(QUANTIZATIONS)}.", USAGE)
    return name.upper()


def checked_edited_type(name: str | None, quantization: str | None) -> str:
    """The type of the edited tensors: what was asked for, else Q8_0, or F16 in a model that is all F16.

    Raises HomeEditError (exit code 2) when edits would not survive in it.
    """
    if name is None:
        return "F16" if quantization == "F16" else "Q8_0"
    if name.upper() not in EDITED_TYPES:
        raise HomeEditError(
            f"Edited layers cannot be kept as {name!r}: edits would not survive in fewer bits.",
            f"Choose of {', '.join(EDITED_TYPES)}.",
            USAGE,
        )
    return name.upper()


def quantize_model(source: Path, out: Path, quantization: str, *, threads: int, progress: Progress) -> None:
    """Write ``source`` (a GGUF file of any type) to ``out`` in another quantization.

    Memory: the largest tensor in float32 and in its new type. Progress counts tensors.

    Raises:
        HomeEditError: llama.cpp cannot read the file or not write the other; ``out`` is then removed.
        Cancelled: ``progress`` was cancelled; likewise.
    """
    number = QUANTIZATIONS[quantization].number
    command = [sys.executable, "-m", "homeedit.base.quantizing", str(source), str(out), str(number), str(threads)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            said = _follow(process, progress)
        except BaseException:
            process.kill()
            out.unlink(missing_ok=True)
            raise
    if process.returncode != 0 or not out.is_file():
        out.unlink(missing_ok=True)
        raise HomeEditError(
            f"llama.cpp could not quantize {source.name} to {quantization}: {said or 'it ended without a word'}.",
            "Nothing was left behind. Look at the free space and memory (homeedit doctor), or try another type: "
            "homeedit model add SOURCE --quant TYPE.",
        )


def _follow(process: "subprocess.Popen[bytes]", progress: Progress) -> str:
    """Count the tensors that the process tells of; the last thing it said when something was wrong."""
    assert process.stdout is not None
    begun, last = 0, ""
    for line in process.stdout:
        progress.check()
        counted = _COUNT.match(line)
        if counted and int(counted[1]) > begun:
            # A line comes when a tensor is begun: the one before it is done.
            progress.advance(int(counted[1]) - max(begun, 1))
            begun = int(counted[1])
        elif b"error" in line or b"fail" in line:
            last = line.decode(errors="replace").strip()
    if begun:
        progress.advance()
    return last


def _quantize(source: str, out: str, number: int, threads: int) -> int:
    """What the process does: the call, its log on stdout; 0 when it went well."""
    import llama_cpp

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def tell(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
        os.write(1, text)

    llama_cpp.llama_log_set(tell, ctypes.c_void_p(0))
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype, parameters.allow_requantize = threads, number, True
    return int(llama_cpp.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(parameters)))


def _end_with_parent() -> None:
    """Nobody waits any more: the file would be left behind."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # At once: the interpreter's own way out would wait for the thread that reads.
    os._exit(_quantize(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
