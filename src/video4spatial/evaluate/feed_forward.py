"""VGGT (the paper's) and Depth Anything 3 as reconstructors: their own packages and weights, loaded when asked for.

Neither is a dependency: VGGT's weights are non-commercial, Depth Anything 3 pins numpy < 2, neither is on PyPI. Give
the folder of the weights in the hub's layout (config.json and model.safetensors).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from video4spatial.evaluate.chunked import ChunkedReconstructor, Views
from video4spatial.schema import InputError

VGGT_WIDTH, VGGT_PATCH = 518, 14

DecodePose = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def vggt(weights: Path, device: str = "cuda", chunk: int = 60) -> ChunkedReconstructor:
    """VGGT (github.com/facebookresearch/vggt). At 60 images a call, 40 of them anchors, a call takes about 14 GB (the
    authors' table, H100); 221 frames are then ten calls.

    Raises:
        InputError: the package or the weights are not there.
    """
    try:
        from vggt.models.vggt import VGGT  # pyright: ignore[reportMissingImports]
        from vggt.utils.pose_enc import pose_encoding_to_extri_intri  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("VGGT is not installed: pip install git+https://github.com/facebookresearch/vggt") from error
    model = VGGT.from_pretrained(str(_folder(weights, "VGGT"))).to(device).eval()
    return ChunkedReconstructor("VGGT", VGGTViews(model, pose_encoding_to_extri_intri, device), chunk)


def depth_anything_3(weights: Path, device: str = "cuda", chunk: int = 60) -> ChunkedReconstructor:
    """Depth Anything 3 (github.com/ByteDance-Seed/Depth-Anything-3), one of its any-view models (SMALL to GIANT).

    Raises:
        InputError: the package or the weights are not there.
    """
    try:
        from depth_anything_3.api import DepthAnything3  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "Depth Anything 3 is not installed: pip install git+https://github.com/ByteDance-Seed/Depth-Anything-3 "
            "(it needs numpy < 2: use an environment of its own)"
        ) from error
    model = DepthAnything3.from_pretrained(str(_folder(weights, "Depth Anything 3"))).to(device).eval()
    return ChunkedReconstructor("Depth Anything 3", DepthAnythingViews(model), chunk)


def _folder(weights: Path, name: str) -> Path:
    wanted = [weights / "config.json", weights / "model.safetensors"]
    missing = [path.name for path in wanted if not path.is_file()]
    if missing:
        raise InputError(
            f"{weights} holds no {' and no '.join(missing)}: give the folder of {name}'s weights in the hub's layout"
        )
    return weights


class VGGTViews:
    """Calls VGGT on images and turns its answer into ``Views``.

    ``model(images [1, S, 3, h, w])`` gives ``pose_enc [1, S, 9]``, ``depth [1, S, h, w, 1]``, ``depth_conf [1, S, h,
    w]``; ``decode_pose(pose_enc, (h, w))`` gives world-to-camera ``[1, S, 3, 4]`` and camera matrices. Points come from
    depth and camera, which the authors find more accurate than the point head.
    """

    def __init__(self, model: Any, decode_pose: DecodePose, device: str) -> None:
        self.model, self.decode_pose, self.device = model, decode_pose, device

    def __call__(self, frames: UInt8[np.ndarray, "N H W 3"]) -> Views:
        images = vggt_images(frames).to(self.device)
        half = torch.autocast("cuda", torch.bfloat16, enabled=self.device.startswith("cuda"))
        try:
            with torch.no_grad(), half:
                answer = self.model(images[None])
        except torch.OutOfMemoryError as error:
            raise InputError(f"{len(frames)} images do not fit {self.device}: give a smaller chunk") from error
        extrinsic, intrinsic = self.decode_pose(answer["pose_enc"].float(), tuple(images.shape[-2:]))
        return Views(
            rearrange(answer["depth"], "1 S h w 1 -> S h w").float().cpu().numpy(),
            answer["depth_conf"][0].float().cpu().numpy(),
            extrinsic[0].float().cpu().numpy(),
            intrinsic[0].float().cpu().numpy(),
        )


def vggt_images(frames: UInt8[np.ndarray, "N H W 3"]) -> torch.Tensor:
    """Images as VGGT reads them: 518 wide, bicubic, the height a multiple of 14 and at most 518, values in [0, 1]."""
    height = round(frames.shape[1] * VGGT_WIDTH / frames.shape[2] / VGGT_PATCH) * VGGT_PATCH
    if not VGGT_PATCH <= height <= VGGT_WIDTH:
        size = f"{frames.shape[2]}x{frames.shape[1]}"
        raise InputError(f"frames of {size} are taller than wide, or very flat: VGGT would crop them; crop them first")
    sized = [Image.fromarray(frame).resize((VGGT_WIDTH, height), Image.Resampling.BICUBIC) for frame in frames]
    return rearrange(
        torch.from_numpy(np.stack([np.asarray(image) for image in sized])).float() / 255, "N h w c -> N c h w"
    )


class DepthAnythingViews:
    """Calls ``model.inference(list of images)``, whose answer has ``depth``, ``conf [N, h, w]``, ``extrinsics [N, 3,
    4]`` (world-to-camera) and ``intrinsics [N, 3, 3]`` for h x w pixels."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, frames: UInt8[np.ndarray, "N H W 3"]) -> Views:
        try:
            answer = self.model.inference(list(frames))
        except torch.OutOfMemoryError as error:
            raise InputError(f"{len(frames)} images do not fit the GPU: give a smaller chunk") from error
        if answer.extrinsics is None or answer.intrinsics is None:
            raise InputError("this Depth Anything 3 model gives no cameras: take an any-view one (SMALL to GIANT)")
        depth = np.asarray(answer.depth)
        confidence = np.ones_like(depth) if answer.conf is None else np.asarray(answer.conf)
        return Views(depth, confidence, np.asarray(answer.extrinsics), np.asarray(answer.intrinsics))
