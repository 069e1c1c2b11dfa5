"""A small prepared and curated store, as the commands leave one: SceneShards, clips, latents that say what they are."""

import numpy as np
import torch

from video4spatial.schema import Intrinsics
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.scene_shards import SceneShards

LENS, SIZE = Intrinsics.from_horizontal_fov(70.0, 64, 32), (64, 32)
TAGS = {"walk": 1, "turn": 2, "alone": 3}


def latents(tag: float, count: int, kind: int) -> torch.Tensor:
    """Channel 0 is the video's tag, channel 1 the index, channel 2 the kind (0 video, 1 image, 2 clip)."""
    found = torch.zeros(48, count, 2, 4, dtype=torch.float16)
    found[0], found[1], found[2] = tag, torch.arange(count)[:, None, None], kind
    return found


def make_curated(root, clip_frames=13, tail=1, of="walk", environment="place", sentences=("go there", "go, in a room")):
    """Two videos of one place and one of another, 20 latents each; three clips, with tails of ``tail`` latents."""
    clip_latents = (clip_frames - 1) // 4 + 1 + tail
    poses = np.tile(np.eye(4), (77, 1, 1))
    poses[:, 0, 3] = np.arange(77)
    shards, clips = SceneShards(root), SceneShards(StoreLayout(root).clips)
    for name, place in (("walk", "place"), ("turn", "place"), ("alone", "cell")):
        tensors = {"video": latents(TAGS[name], 20, 0), "image": latents(TAGS[name], 20, 1), "c2w": poses}
        shards.write(
            name, place, tensors, fps=20, size=SIZE, intrinsics=LENS, meta={"source": name, "frames": [0, 231]}
        )
    shards.reindex()
    for source, place, starts in ((of, environment, (0, 30)), ("alone", "cell", (63,))):
        with clips.shard(source) as shard:
            for start in starts:
                meta = {
                    "sentences": list(sentences),
                    "tail_latents": tail,
                    "of": source,
                    "frames": [start, start + clip_frames],
                }
                held = 4 * (clip_latents - 1) + 1
                tensors = {"video": latents(10 + start, clip_latents, 2), "c2w": poses[:held]}
                name = f"{source}@{start + 12:06d}"
                shard.add(name, place, tensors, fps=20, size=SIZE, intrinsics=LENS, meta=meta)
    clips.reindex()
    return root
