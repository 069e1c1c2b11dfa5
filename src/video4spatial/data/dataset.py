"""Training batches out of latent videos: deterministic given (seed, step, number), whatever reads them.

Latents go from where they lie straight into the batch, in the precision they are stored in; ``Batch.to`` brings them to
float32, on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.data.examples import Choice, ExampleChooser, WindowConfig
from video4spatial.data.latent_videos import LatentVideo
from video4spatial.geometry.camera_maps import camera_maps
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import TIME_STRIDE, CameraPath

__all__ = ["Batch", "ExampleSampler", "WindowConfig", "read_batch"]


@dataclass
class Batch:
    """Clean latents and instructions of ``B`` examples, context of one length.

    ``ids`` say what each was made of: "room12-0[40:49]<room12-1" is a target of latents 40 to 48 of room12-0 (first one
    a single-frame latent), with context from room12-1.
    """

    context: Float[Tensor, "B C Fc h w"]
    context_index: Int[Tensor, "B Fc"]
    target: Float[Tensor, "B C F h w"]
    camera: Float[Tensor, "B K F h w"]
    sentences: list[str]
    ids: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on ``device``, in float32 there: half as much travels where half precision is stored."""
        context, target, camera = (
            tensor.to(device, non_blocking=True).float() for tensor in (self.context, self.target, self.camera)
        )
        index = self.context_index.to(device, non_blocking=True)
        return Batch(context, index, target, camera, self.sentences, self.ids)

    def __len__(self) -> int:
        return len(self.target)


class ExampleSampler:
    """Draws examples from ``videos``: number ``n`` of step ``s`` is the same in any process, of any number of them.

    Raises ``InputError`` as ``ExampleChooser`` does.
    """

    def __init__(self, videos: Sequence[LatentVideo], config: WindowConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed
        self.chooser = ExampleChooser(videos, config)

    def batch(self, step: int, size: int, part: int = 0) -> Batch:
        """Part ``part`` of the batch of training step ``step``: its examples ``part * size`` to ``(part + 1) * size``.

        All parts have one context length.
        """
        count = int(np.random.default_rng([self.seed, step]).choice(self.config.context))
        numbers = range(part * size, (part + 1) * size)
        return read_batch([self.chooser.choose(np.random.default_rng([self.seed, step, n]), count) for n in numbers])


def read_batch(choices: Sequence[Choice]) -> Batch:
    """Read what was chosen: examples with targets of one length, and contexts of one length."""
    first, count = choices[0], len(choices)
    dtypes = {video.dtype() for choice in choices for video in (choice.video, choice.source)}
    dtype = reduce(torch.promote_types, dtypes)
    (channels, rows, columns), length = first.video.grid, first.stop - first.start
    context = torch.empty(count, len(first.context), channels, rows, columns, dtype=dtype)
    target = torch.empty(count, length, channels, rows, columns, dtype=dtype)
    for row, choice in enumerate(choices):
        choice.source.read_into("video", choice.context, context[row])
        _read_target(choice, target[row])
    return Batch(
        rearrange(context, "B F C h w -> B C F h w"),
        torch.as_tensor(np.stack([choice.context for choice in choices])).long(),
        rearrange(target, "B F C h w -> B C F h w"),
        _cameras(choices, (length, rows, columns)),
        [choice.sentence for choice in choices],
        [choice.id for choice in choices],
    )


def _read_target(choice: Choice, out: Float[Tensor, "F C h w"]) -> None:
    """The target's first latent is of its first frame alone: a clip begins with one, other videos store it apart."""
    if choice.video.clip_of is not None:
        choice.video.read_into("video", range(choice.start, choice.stop), out)
        return
    choice.video.read_into("image", [choice.start], out[:1])
    choice.video.read_into("video", range(choice.start + 1, choice.stop), out[1:])


def _cameras(choices: Sequence[Choice], shape: tuple[int, int, int]) -> Float[Tensor, "B 24 F h w"]:
    """Pluecker maps of the targets that navigate, zero for those that ground (no memory, where all do)."""
    if all(choice.origin is None for choice in choices):
        return torch.zeros(1).expand(len(choices), 24, *shape)
    cameras = torch.empty(len(choices), 24, *shape)
    for choice, maps in zip(choices, cameras, strict=True):
        if choice.origin is None:
            maps.zero_()
            continue
        first = TIME_STRIDE * choice.start
        poses = choice.video.poses(first, first + TIME_STRIDE * (shape[0] - 1) + 1)
        assert choice.video.intrinsics is not None
        path = CameraPath(relative_to(poses, choice.origin), choice.video.intrinsics)
        camera_maps(path, *choice.video.size, out=maps.numpy())
    return cameras
