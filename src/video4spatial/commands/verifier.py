"""From what a user names (a judge, a reconstructor) to a ``Verifier``, for the command line, the app and Python."""

import atexit
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from video4spatial.evaluate.detector import read_phrase
from video4spatial.evaluate.judge import Judge
from video4spatial.evaluate.judges import open_judge
from video4spatial.evaluate.known_scene import (
    CLIP_FRAMES,
    CONTEXT_FRAMES,
    KnownScene,
    known_room,
    reconstructed_context,
)
from video4spatial.evaluate.reconstruct import NotReconstructed
from video4spatial.evaluate.reconstructors import FEED_FORWARD, open_reconstructor
from video4spatial.evaluate.verify import Verifier
from video4spatial.rooms import vocabulary
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import ContextStream, CountError
from video4spatial.schema import Clip, InputError, Intrinsics

ROOMS_ROOM = re.compile(r"rooms=(\d{1,9})(?::(\d*\.?\d+))?")
VLM = "Qwen/Qwen3-VL-8B-Instruct"
WAYS = "rooms=SEED[:DIFFICULTY], colmap, vggt=WEIGHTS, depth-anything-3=WEIGHTS"


def verifier_for(
    pipeline: Video4SpatialPipeline,
    instruction: str | None = None,
    *,
    judge: str | None = None,
    judge_model: str | None = None,
    judge_cache: str | Path | None = None,
    reconstructor: str | None = None,
    context: str | Path | Clip | np.ndarray | None = None,
    lens: Intrinsics | None = None,
) -> tuple[Verifier, list[str]]:
    """What to check clips with, and notes for the user.

    Args:
        judge: "rooms", a VLM server's address, "none"; None: rooms' detector for a model that knows rooms' words only,
            else none.
        judge_model, judge_cache: the VLM's name (None: ``VLM``), and the file that keeps its answers (None: one that is
            removed at the end).
        reconstructor: one of ``WAYS``; None: none. All but a room's need the ``context`` video.
        lens: of the context, at the model's size; the model's own unless given.

    Raises:
        InputError: a name that is not known, or something it needs that is not there.
    """
    notes: list[str] = []
    sees: Judge | None = None
    if instruction is not None:
        sees, told = judge_of(pipeline, instruction, judge, judge_model or VLM, judge_cache)
        notes.append(told)
    scene = None
    if reconstructor is not None:
        scene = scene_of(pipeline, reconstructor, context, lens)
        if isinstance(scene, NotReconstructed):
            notes.append(scene.reason)
        elif scene.scale == "arbitrary":
            notes.append("the place is known from the walk-through alone: its SD is in units of its own, not metres")
    return Verifier(sees, scene), notes


def judge_of(
    pipeline: Video4SpatialPipeline,
    instruction: str,
    judge: str | None = None,
    model: str = VLM,
    cache: str | Path | None = None,
) -> tuple[Judge | None, str]:
    """The judge, and in words which one and why."""
    if judge is None:
        if not knows_rooms_only(pipeline):
            return None, "no judge: give --judge URL, of a VLM's server, to check what the box marks"
        try:
            read_phrase(instruction)
        except InputError as error:
            return None, f"no judge: {error}"
        return open_judge("rooms"), "judge: the detector of rooms (the model knows rooms' words only)"
    if judge == "none":
        return None, "no judge, as asked"
    if judge == "rooms":
        read_phrase(instruction)
        return open_judge("rooms"), "judge: the detector of rooms"
    if not judge.startswith(("http://", "https://")):
        raise InputError(f"--judge is {judge!r}: use rooms, none, or the address of a VLM's server")
    if cache is None:
        folder = tempfile.mkdtemp(prefix="video4spatial-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        cache = Path(folder) / "answers.jsonl"
    return open_judge("server", judge, model, cache), f"judge: {model} at {judge}"


def knows_rooms_only(pipeline: Video4SpatialPipeline) -> bool:
    """Whether the model's words are those of rooms, as rooms-small's are."""
    known = {word for word in pipeline.tokenizer.get_vocab() if word.isalpha()}
    return set(vocabulary()) <= known and len(known) < 4 * len(vocabulary())


def scene_of(
    pipeline: Video4SpatialPipeline,
    way: str,
    context: str | Path | Clip | np.ndarray | None = None,
    lens: Intrinsics | None = None,
) -> KnownScene | NotReconstructed:
    """The place as ``way`` knows it, at the model's size."""
    lens = pipeline.intrinsics if lens is None else lens
    if match := ROOMS_ROOM.fullmatch(way):
        return known_room(int(match.group(1)), float(match.group(2) or 1.0), lens)
    name, _, weights = way.partition("=")
    if name not in ("colmap", *FEED_FORWARD) or (name == "colmap") == bool(weights):
        raise InputError(f"--reconstructor is {way!r}: use one of {WAYS}")
    if context is None:
        raise InputError(f"reconstructor {name} needs the walk-through's video")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    reconstructor = open_reconstructor(name, weights or None, device)
    frames = spread_frames(context, lens.width, lens.height, float(pipeline.config.fps))
    return reconstructed_context(frames, lens, reconstructor, CLIP_FRAMES if name == "colmap" else None)


def spread_frames(video: str | Path | Clip | np.ndarray, width: int, height: int, fps: float) -> np.ndarray:
    """At most ``CONTEXT_FRAMES`` frames of a walk-through at the model's size, spread evenly, both ends included."""
    stream = ContextStream(video, width, height, fps)
    try:
        return _spread(stream)
    except CountError as error:
        return _spread(stream.recounted(error.frames))


def _spread(stream: ContextStream) -> np.ndarray:
    wanted = set(np.linspace(0, len(stream) - 1, CONTEXT_FRAMES).round().astype(int).tolist())
    return np.stack([frame for k, frame in enumerate(stream) if k in wanted])
