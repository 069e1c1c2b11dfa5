"""The real models at full size on the meta device: shapes and precisions of every tensor, no memory taken."""

from typing import Any

import torch
from diffusers import AutoencoderKLWan
from live_bytes import LiveBytes, live_bytes
from torch import Tensor

from video4spatial.model.cost.transformer import SequenceShape
from video4spatial.model.official import WAN22_VAE
from video4spatial.model.transformer import Video4SpatialTransformer3DModel


def meta_transformer(dtype: torch.dtype = torch.bfloat16, **config: Any) -> Video4SpatialTransformer3DModel:
    """The transformer (default: the 5B one) as ``from_pretrained(torch_dtype=dtype)`` would load it."""
    with torch.device("meta"):
        model = Video4SpatialTransformer3DModel(**config)
    kept = set(model._keep_in_fp32_modules)
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(torch.float32 if kept & set(name.split(".")) else dtype)
    return model


def meta_vae(dtype: torch.dtype = torch.float32) -> AutoencoderKLWan:
    """Wan2.2's VAE."""
    with torch.device("meta"):
        return AutoencoderKLWan(**WAN22_VAE).eval().to(dtype)


def backward_bytes(model: Any, sequence: SequenceShape) -> tuple[int, LiveBytes]:
    """Bytes of the gradients of one sample's training step, and the live bytes of that step."""
    inputs = meta_inputs(model, 1, sequence.frames)
    with live_bytes() as live:
        out = model(**inputs, return_dict=False)[0]
        (out[:, :, sequence.context :].float() - 1).square().mean().backward()
    return sum(p.grad.nbytes for p in model.parameters() if p.grad is not None), live


def meta_inputs(model: Any, batch: int, frames: int, width: int = 416, height: int = 256) -> dict[str, Tensor]:
    """Everything that the transformer is called with."""
    grid, dtype = (height // 16, width // 16), model.dtype
    return {
        "hidden_states": torch.empty(batch, model.config.in_channels, frames, *grid, dtype=dtype, device="meta"),
        "timestep": torch.empty(batch, frames, device="meta"),
        "encoder_hidden_states": torch.empty(batch, 512, model.config.text_dim, dtype=dtype, device="meta"),
        "frame_index": torch.zeros(batch, frames, dtype=torch.long, device="meta"),
        "camera": torch.empty(batch, model.config.camera_channels, frames, *grid, dtype=dtype, device="meta"),
    }
