"""Encoding beforehand: rooms through the frozen VAE, sentences through the frozen text encoder, into a store.

The transformer then trains without either in memory, and no step waits for them (paper, Section 4.1: latents are
pre-encoded and sampled).
"""

import dataclasses
from pathlib import Path
from typing import Any

from video4spatial.data.rooms import training_videos
from video4spatial.data.scene import AnnotatedVideo
from video4spatial.model.frozen import frozen_vae, text_parts
from video4spatial.prepare.texts import precompute_text
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, read_json, write_json
from video4spatial.storage.latents import LatentWriter
from video4spatial.train.config import TransformerRun
from video4spatial.train.leaks import require_no_leak
from video4spatial.train.loop import choose_device
from video4spatial.train.stream import RoomPool, encode_video, fingerprint, keep_video

ROOMS_A_SHARD = 100  # an interrupted run loses fewer rooms than this


def precompute(config: TransformerRun, root: Path, show_progress: bool = True) -> tuple[int, int]:
    """Bring the store at ``root`` to what ``config`` trains on; how many videos and sentences were added.

    A run on rooms has its ``stream.pool`` rooms rendered and encoded. A run on stores brings its own latents, and only
    the sentences in them are encoded. What is there already is kept, so that a run that was stopped goes on.
    """
    if config.data is not None:
        require_no_leak(config.data)
    videos = 0 if config.data is not None else precompute_rooms(config, root, show_progress)
    tokenizer, text_encoder = text_parts(config.frozen_parts, config.precision)
    text_encoder.to(choose_device(config.device))
    return videos, precompute_text(root, tokenizer, text_encoder, show_progress)


def precompute_rooms(config: TransformerRun, root: Path, show_progress: bool = True) -> int:
    """Render and encode the rooms of ``config.stream`` that the store lacks; how many videos were added.

    Raises:
        InputError: the store was made with another VAE, or of other rooms.
    """
    stream = dataclasses.replace(config.stream, rooms_per_step=0.0, store=None)
    codec = frozen_vae(config.frozen_parts)
    codec.vae.to(choose_device(config.device))
    _require_origin(root, {"made_of": fingerprint(codec, stream.rooms), "vae": config.frozen_parts})
    added = 0

    with LatentWriter(root) as writer:

        def keep(seed: int, rendered: list[AnnotatedVideo]) -> bool:
            nonlocal added
            for video in rendered:
                if video.video_id not in writer:
                    keep_video(writer, encode_video(video, codec), video.clip.fps)
                    added += 1
            if seed % ROOMS_A_SHARD == ROOMS_A_SHARD - 1:
                writer.flush()
            return True

        def there(seed: int) -> bool | None:
            return all(f"room{seed}-{number}" in writer for number in range(stream.rooms.videos)) or None

        with RoomPool(stream, training_videos, keep, there, show_progress) as pool:
            pool.at(0)
    return added


def _require_origin(root: Path, origin: dict[str, Any]) -> None:
    """Write down what the store is made of, or check that it is made of the same."""
    path = StoreLayout(root).origin
    if not path.exists():
        if StoreLayout(root).index.exists():
            raise InputError(f"{root} is a store that precompute did not make: choose another folder with --out")
        write_json(path, origin)
        return
    found: Any = read_json(path)
    if not isinstance(found, dict) or found.get("made_of") != origin["made_of"]:
        raise InputError(
            f"{root} was made with another VAE or of other rooms ({path}): choose another folder with --out"
        )
