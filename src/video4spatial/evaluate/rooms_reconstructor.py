"""The reconstructor for rooms: poses by alignment with the known room, depth by a network that looks at the frame.

What it knows beside the video: the room (a judge may know the truth), the anchors, the lens. What it must find out:
where each frame was seen from (``scene_pose``), and what the frame shows there (``depth_net``). It works at about 96x64
pixels whatever the size of the video. A frame that resembles no view of the room gets an interpolated pose, and the
depth its pixels suggest.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, UInt8
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from video4spatial.evaluate.depth_net import CHANNELS, WIDTHS, DepthNet, floor_inverse_depth, log_depth
from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction
from video4spatial.evaluate.scene_pose import ScenePoses
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.rooms import Room
from video4spatial.schema import InputError, Intrinsics

WIDTH = 96  # pixels at which it works
UNKNOWN_DEPTH = 2.2  # metres
_STEP = 16  # the network's
_BATCH = 16
_LEAST_SIZE = 32


def packaged_weights() -> Path:
    """The depth network that ships with the package."""
    return Path(str(files("video4spatial"))) / "weights" / "rooms-depth" / "depth.safetensors"


@cache
def depth_net(weights: Path) -> DepthNet:
    """The network of a weights file. Raises ``InputError`` naming the file if it is not there or another network's."""
    if not weights.is_file():
        raise InputError(f"{weights} is not there: train it with `python -m video4spatial.evaluate.train_depth`")
    net = DepthNet()
    state = load_file(weights)
    state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{weights} holds another network ({CHANNELS} channels, widths {WIDTHS} wanted)") from error
    return net.eval().requires_grad_(False)


class RoomsReconstructor:
    """Reconstructs videos of one room. ``room`` is the truth it registers against."""

    name = "rooms (registration against the known room, depth network)"

    def __init__(self, room: Room, weights: Path | None = None) -> None:
        self.room = room
        self.net = depth_net(weights or packaged_weights())

    def __call__(self, frames: UInt8[np.ndarray, "T H W 3"], anchors: Anchors) -> Reconstruction | NotReconstructed:
        if not len(frames):
            return NotReconstructed("the video has no frames")
        lens = working_lens(anchors.intrinsics)
        if frames.shape[1] * anchors.intrinsics.width != frames.shape[2] * anchors.intrinsics.height:
            size = f"{frames.shape[2]}x{frames.shape[1]}"
            raise InputError(f"the video is {size}, the anchors of another shape: give anchors as the camera sees")
        small = resized(frames, lens)
        track = ScenePoses(self.room, anchors.c2w, lens).track(small)
        details = {"agreement": track.agreement}
        if not track.registered.any():
            points = [np.empty((0, 3)) for _ in frames]
            nowhere = np.full((len(frames), 4, 4), np.nan)
            return Reconstruction(points, nowhere, track.registered, [], anchors.c2w, anchors.intrinsics, details)
        points = self.points(small, track.c2w, track.registered, lens)
        known = np.ones(len(anchors.frames), bool)
        anchor_points = self.points(resized(anchors.frames, lens), anchors.c2w, known, lens)
        size = anchors.intrinsics.resized(frames.shape[2], frames.shape[1])
        return Reconstruction(points, track.c2w, track.registered, anchor_points, anchors.c2w, size, details)

    def points(
        self, frames: UInt8[np.ndarray, "T H W 3"], c2w: np.ndarray, found: np.ndarray, lens: Intrinsics
    ) -> list[np.ndarray]:
        """A point a pixel, in the room's frame."""
        depth = self.depth(frames, c2w, found, lens)
        return [
            unproject_depth(part.astype(np.float64), pose, lens).reshape(-1, 3)
            for part, pose in zip(depth, c2w, strict=True)
        ]

    def depth(
        self, frames: UInt8[np.ndarray, "T H W 3"], c2w: np.ndarray, found: np.ndarray, lens: Intrinsics
    ) -> Float32[np.ndarray, "T H W"]:
        """Depth along z in metres of what the frames show, seen from ``c2w``; of frames that were not found in the
        room by their pixels and the floor alone, since there is no view to compare them with."""
        parts = []
        for start in range(0, len(frames), _BATCH):
            poses = c2w[start : start + _BATCH]
            known = self.room.render(poses, lens)
            for k in np.flatnonzero(~found[start : start + _BATCH]):
                known.rgb[k], known.depth[k] = unknown_view((lens.height, lens.width))
            answer = self.net(
                colours(frames[start : start + _BATCH]),
                colours(known.rgb),
                log_depth(torch.from_numpy(known.depth)),
                torch.from_numpy(floor_inverse_depth(poses, lens)),
            )
            parts.append(answer.log_depth.exp().numpy())
        return np.concatenate(parts)


def unknown_view(size: tuple[int, int]) -> tuple[UInt8[np.ndarray, "H W 3"], Float32[np.ndarray, "H W"]]:
    """What the network is given in the place of the known view of a frame that was not found in the scene."""
    return np.full((*size, 3), 128, np.uint8), np.full(size, UNKNOWN_DEPTH, np.float32)


def working_lens(intrinsics: Intrinsics) -> Intrinsics:
    """The lens at the working size: 96 pixels wide, the height a multiple of 16."""
    height = max(round(WIDTH * intrinsics.height / intrinsics.width / _STEP), 1) * _STEP
    if min(intrinsics.width, intrinsics.height) < _LEAST_SIZE:
        raise InputError(f"frames of {intrinsics.width}x{intrinsics.height} are too small: give at least 32 pixels")
    return intrinsics.resized(WIDTH, height)


def resized(frames: UInt8[np.ndarray, "T H W 3"], lens: Intrinsics) -> UInt8[np.ndarray, "T h w 3"]:
    """The frames at the lens's size: by area when they shrink, bilinear when they grow."""
    if frames.shape[1:3] == (lens.height, lens.width):
        return frames
    how = Image.Resampling.BOX if frames.shape[2] >= lens.width else Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(frame).resize((lens.width, lens.height), how)) for frame in frames])


def colours(frames: UInt8[np.ndarray, "B H W 3"]) -> Float32[Tensor, "B 3 H W"]:
    """In [0, 1], channels first."""
    return rearrange(torch.from_numpy(np.ascontiguousarray(frames)).float() / 255, "B H W c -> B c H W")
