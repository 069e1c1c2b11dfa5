"""Grounding clips as they are trained on: the clip and its box tail through the VAE together (paper section 3.3)."""

from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from einops import repeat
from jaxtyping import Float64, UInt8

from video4spatial.curate.framing import Framing
from video4spatial.curate.labels import LabelledClip, SceneLabels
from video4spatial.curate.settings import CurationSettings
from video4spatial.data.sampled import Sampled
from video4spatial.geometry.boxes import box_tail
from video4spatial.model.latents import LatentCodec
from video4spatial.prepare.encode import in_half_precision
from video4spatial.schema import DEFAULT_SCENE, grounding_sentence
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.scene_shards import SceneShards

_FRAMES_AT_A_TIME = 16


def clip_id(video_id: str, end: int) -> str:
    """The name of the clip that ends with stored frame ``end`` of a video."""
    return f"{video_id}@{end:06d}"


def write_clips(
    shards: SceneShards,
    row: StoredVideo,
    video: Sampled,
    labels: SceneLabels,
    codec: LatentCodec,
    settings: CurationSettings,
) -> int:
    """Encode the clips of one stored video into one shard; how many.

    ``video`` shows the stored frames; the boxes of ``labels`` are in pixels of what was looked at.
    Poses end held, as the picture does. A video without clips gets a shard without any: it is done.

    Raises:
        BadScene: a frame cannot be read, or half precision cannot hold a latent; nothing is written then.
    """
    framing = labels.framing or Framing.whole(labels.size)
    with shards.shard(row.video_id) as shard:
        for clip in labels.clips:
            box = framing.to_stored(clip.target.box)
            last = video.frames([clip.frames[-1]])[0]
            tail = box_tail(last, box, settings.tail_frames)
            name, latents = (
                clip_id(row.video_id, clip.frames[-1]),
                codec.encode_stream(chain(_moving(video, clip), [tail])),
            )
            tensors = {"video": in_half_precision(name, "clip", latents)}
            if video.c2w is not None:
                tensors["c2w"] = torch.as_tensor(_held(video.c2w, clip, settings.tail_frames))
            shard.add(
                name,
                row.environment_id,
                tensors,
                fps=row.fps,
                size=(row.width, row.height),
                intrinsics=row.intrinsics,
                meta={
                    "sentences": list(dict.fromkeys([clip.sentence, grounding_sentence(clip.phrase, DEFAULT_SCENE)])),
                    "tail_latents": settings.tail_latents,
                    "of": row.video_id,
                    "frames": [clip.frames[0], clip.frames[-1] + 1],
                    "box": [box.x0, box.y0, box.x1, box.y1],
                    "label": clip.target.label,
                    "phrase": clip.phrase,
                    "scene": clip.scene,
                },
            )
    return len(labels.clips)


def _moving(video: Sampled, clip: LabelledClip) -> Iterator[UInt8[np.ndarray, "T H W 3"]]:
    for first in range(0, len(clip.frames), _FRAMES_AT_A_TIME):
        yield video.frames(clip.frames[first : first + _FRAMES_AT_A_TIME])


def _held(c2w: Float64[np.ndarray, "T 4 4"], clip: LabelledClip, tail: int) -> Float64[np.ndarray, "T2 4 4"]:
    moving = c2w[list(clip.frames)]
    return np.concatenate([moving, repeat(moving[-1], "i j -> tail i j", tail=tail)])
