"""The tensor twin of ``plucker`` and ``pack_plucker``: batched, on the device, so that loaders send only poses."""

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from video4spatial.schema import require_4k_plus_1


def packed_plucker(
    c2w: Float[Tensor, "B T 4 4"], intrinsics: Float[Tensor, "B 4"], height: int, width: int
) -> Float[Tensor, "B 24 F H W"]:
    """``pack_plucker(plucker(...))`` of a batch; ``intrinsics`` rows are fx, fy, cx, cy in pixels of that size.

    Same values and channel order as the numpy functions (tested), in the dtype of ``c2w`` (float32 or float64).
    """
    require_4k_plus_1(c2w.shape[1], "the number of poses")
    fx, fy, cx, cy = rearrange(intrinsics.to(c2w), "B k -> k B 1 1")
    x = (torch.arange(width, device=c2w.device, dtype=c2w.dtype) + 0.5 - cx) / fx
    y = (rearrange(torch.arange(height, device=c2w.device, dtype=c2w.dtype), "H -> 1 H 1") + 0.5 - cy) / fy
    x, y = torch.broadcast_tensors(x, y)
    camera = torch.nn.functional.normalize(torch.stack([x, y, torch.ones_like(x)], dim=1), dim=1)
    world = einsum(c2w[:, :, :3, :3], camera, "B T i j, B j H W -> B T i H W")
    origin = repeat(c2w[:, :, :3, 3], "B T i -> B T i H W", H=height, W=width)
    maps = torch.cat([torch.linalg.cross(origin, world, dim=2), world], dim=2)
    first = repeat(maps[:, 0], "B c H W -> B four c H W", four=4)
    return rearrange(torch.cat([first, maps[:, 1:]], dim=1), "B (F four) c H W -> B (c four) F H W", four=4)
