"""What runs in the processes that render rooms. It imports neither torch nor diffusers: a worker starts in seconds."""

import os

import numpy as np
from jaxtyping import UInt8

from video4spatial.data.rooms import RoomsConfig, training_videos

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def one_thread() -> None:
    """Keep a worker process to one thread: the processes are the parallelism."""
    for name in THREADS:
        os.environ[name] = "1"


def render_clips(
    seed: int, rooms: RoomsConfig, clips: int = 5, length: int = 17
) -> UInt8[np.ndarray, "clips length H W 3"]:
    """Short clips ``[clips, length, H, W, 3]`` of a room's training videos, for the VAE; box tails included."""
    frames = np.concatenate([video.clip.frames for video in training_videos(seed, rooms)])
    rng = np.random.default_rng([seed, 23])
    last = len(frames) - length
    starts = [last, *rng.integers(0, last, clips - 1)]  # the last clip ends in a box tail
    return np.stack([frames[start : start + length] for start in starts])
