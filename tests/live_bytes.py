"""Counts the bytes of live tensors while code runs: what a GPU's allocator would hold, on the CPU or the meta device.

Every storage that an operation makes is counted until it dies, views and in-place results once. Weights made outside
are not counted; scratch memory inside a kernel cannot be seen.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """``with LiveBytes() as live: ...; live.peak`` - the most bytes of tensors made inside that were alive at once.

    Args:
        device: count only tensors on devices of this type.
    """

    def __init__(self, device: str | None = None) -> None:
        super().__init__()
        self.device = device
        self.now = 0
        self.peak = 0
        self.at_peak = ""  # the operation that reached the peak
        self._alive: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        known = {id(s) for s in self._storages((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for storage in self._storages(out):
            if id(storage) not in self._alive and id(storage) not in known:
                self._add(storage)
        if self.now > self.peak:
            self.peak, self.at_peak = self.now, str(func)
        return out

    def _storages(self, tree: Any) -> Iterator[Any]:
        for leaf in tree_iter(tree):
            if isinstance(leaf, torch.Tensor) and (self.device is None or leaf.device.type == self.device):
                yield leaf.untyped_storage()

    def _add(self, storage: Any) -> None:
        key, size = id(storage), storage.nbytes()

        def died(_: Any) -> None:
            self._alive.pop(key, None)
            self.now -= size

        self._alive[key] = weakref.ref(storage, died)
        self.now += size


@contextmanager
def flash_attention_on_meta() -> Iterator[None]:
    """On the meta device, attention as a flash kernel does it: no matrix of scores, only its row sums are kept.

    (A ``TorchFunctionMode`` would not reach the recomputation that activation checkpointing does in the backward pass.)
    """
    stock = F.scaled_dot_product_attention

    def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **rest: Any) -> Tensor:
        if not query.is_meta:
            return stock(query, key, value, attn_mask, **rest)
        if attn_mask is not None:  # as the memory-efficient kernel does it
            assert not torch.is_grad_enabled()
            return torch.empty_like(query)
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]

    F.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = stock


@contextmanager
def live_bytes(device: str | None = None) -> Iterator[LiveBytes]:
    """Count live bytes, attention on the meta device as a flash kernel."""
    with flash_attention_on_meta(), LiveBytes(device) as live:
        yield live
