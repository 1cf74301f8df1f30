"""llama.cpp's own quantizer, to compare with."""

import ctypes

import numpy as np
from numpy.typing import NDArray


def ggml_quantized(values: NDArray[np.float32], kind: int) -> bytes:
    """The rows of ``values`` [rows, columns] as ``ggml_quantize_chunk`` quantizes them."""
    from llama_cpp import _ggml

    from homeedit.base.gguf_file import tensor_size

    rows, columns = values.shape
    buffer = (ctypes.c_uint8 * tensor_size(values.shape, kind))()
    quantize = _ggml.libggml.ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    written = quantize(kind, np.ascontiguousarray(values).ctypes.data, buffer, 0, rows, columns, None)
    assert written == len(buffer)
    return bytes(buffer)
