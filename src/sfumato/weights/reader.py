"""Tensors out of model files: views of mapped memory, read by the system when they are touched."""

import mmap
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sfumato.weights.entries import WIDTHS, Entry


class Reader:
    """Maps each file once; a tensor that needs no change is a view of the file and costs no memory.

    The mapping is private: writing to such a tensor changes memory, never the file. It lives as
    long as a tensor that was read through it.
    """

    def __init__(self) -> None:
        self._maps: dict[Path, mmap.mmap] = {}

    def read(self, entry: Entry, dtype: torch.dtype | None = None) -> Tensor:
        """The tensor of an entry, contiguous, in `dtype` or in its own.

        Where a copy is made the file's pages are given back at once, so that loading in another
        precision holds one tensor twice and not the whole model.
        """
        if entry.packing is not None:
            return self._unpacked(entry).to(torch.float32 if dtype is None else dtype)
        own: torch.dtype = getattr(torch, entry.dtype)
        if entry.elements == 0:
            return torch.empty(entry.shape, dtype=own if dtype is None else dtype)
        view = self._view(entry, own)
        result = view.to(own if dtype is None else dtype).contiguous()
        if result.data_ptr() != view.data_ptr():
            self._forget(entry)
        return result

    def _unpacked(self, entry: Entry) -> Tensor:
        """The float32 values of a quantised tensor."""
        from gguf import GGMLQuantizationType, dequantize

        assert entry.packing is not None
        memory = self._map(entry.path)[entry.offset : entry.offset + entry.bytes]
        self._forget(entry)
        packed = np.frombuffer(memory, dtype=np.uint8)
        values = dequantize(packed, GGMLQuantizationType[entry.packing.name])
        return torch.from_numpy(values).view(entry.shape)

    def _view(self, entry: Entry, dtype: torch.dtype) -> Tensor:
        memory, start = self._map(entry.path), entry.offset
        if start % WIDTHS[entry.dtype]:
            memory, start = bytearray(memory[start : start + entry.extent]), 0
        count = entry.extent // WIDTHS[entry.dtype]
        flat = torch.frombuffer(memory, dtype=dtype, count=count, offset=start)
        if entry.strides is None:
            return flat.view(entry.shape)
        return flat.as_strided(entry.shape, entry.strides)

    def _map(self, path: Path) -> mmap.mmap:
        if path not in self._maps:
            with path.open("rb") as file:
                self._maps[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        return self._maps[path]

    def _forget(self, entry: Entry) -> None:
        if not hasattr(mmap, "MADV_DONTNEED"):  # Windows
            return
        start = entry.offset // mmap.PAGESIZE * mmap.PAGESIZE
        length = entry.offset + entry.extent - start
        self._map(entry.path).madvise(mmap.MADV_DONTNEED, start, length)
