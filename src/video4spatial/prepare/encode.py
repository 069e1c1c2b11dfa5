"""A scene through the frozen VAE: causal latents of the whole of it, and single-frame latents of every fourth frame.

Frames stream through: beside the latents, a few frames are in memory, however long the scene is.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import BadScene
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import TIME_STRIDE

FRAMES_READ = 8  # at once, before they are resized: 66 MB of 1920x1440
IMAGES_AT_ONCE = 8  # encoded as single frames; another number may change the last bits


def encode_scene(
    scene: Sampled, codec: LatentCodec, on_frames: Callable[[int], None] | None = None
) -> dict[str, Tensor]:
    """ "video" and "image" latents ``[C, F, h, w]`` in half precision, and "c2w" ``[T, 4, 4]`` if there are poses.

    ``on_frames`` is called with the number of frames encoded so far.

    Raises:
        BadScene: a frame cannot be read, or a latent does not fit half precision.
    """
    images, waiting = [], []

    def passing() -> Iterator[np.ndarray]:
        for start in range(0, len(scene), FRAMES_READ):
            frames = scene.frames(range(start, min(start + FRAMES_READ, len(scene))))
            waiting.extend(frames[-start % TIME_STRIDE :: TIME_STRIDE])
            if len(waiting) >= IMAGES_AT_ONCE:
                images.append(codec.encode_images(np.stack(waiting[:IMAGES_AT_ONCE]), IMAGES_AT_ONCE))
                del waiting[:IMAGES_AT_ONCE]
            yield frames

    video = codec.encode_stream(passing(), on_frames)
    if waiting:
        images.append(codec.encode_images(np.stack(waiting), IMAGES_AT_ONCE))
    encoded = {
        "video": in_half_precision(scene.video_id, "video", video),
        "image": in_half_precision(scene.video_id, "image", torch.cat(images, dim=1)),
    }
    return encoded if scene.c2w is None else encoded | {"c2w": torch.as_tensor(np.ascontiguousarray(scene.c2w))}


def in_half_precision(video_id: str, name: str, latents: Float[Tensor, "C F h w"]) -> Float[Tensor, "C F h w"]:
    """Latents as they are stored. Raises ``BadScene`` where half precision cannot hold them: names video and frame."""
    half = latents.half()
    fits = torch.isfinite(half).all(dim=0).all(dim=-1).all(dim=-1)
    if not bool(fits.all()):
        frame = TIME_STRIDE * int((~fits).nonzero()[0])
        largest = float(latents.abs().max())
        reason = "are not finite" if not np.isfinite(largest) else f"of up to {largest:.3g} overflow half precision"
        raise BadScene(
            f"{video_id}: {name} latents near its frame {frame} {reason}: look at its frames there, and if they "
            "are sound at the VAE; or leave the scene out"
        )
    return half
