"""The same benchmark from a prepared and curated store: a dataset's own walks in the place of rooms.

Of each chosen environment: grounding clips that curation found, trajectories cut from its own poses, and absent objects
of ``absent.jsonl``. A case's context is the walk that its clip was cut from, without the clip.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from video4spatial.data.origin import read_origin
from video4spatial.data.rooms import article
from video4spatial.evaluate.cases import Case
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.rooms_cases import shared_out
from video4spatial.schema import TIME_STRIDE, InputError, grounding_sentence, require_4k_plus_1
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.latents import LatentStore

LEAST_CONTEXT = 41  # frames, below which a walk without its clip is no context


@dataclass(frozen=True)
class StoredSettings:
    """What a benchmark of a store is made with; the defaults are the paper's.

    Attributes:
        environments: those to choose from; None: all in the store. They must not be among those trained on, which the
            store cannot know.
        navigation_frames: length of a trajectory, 4k + 1. Grounding clips have the length they were curated with.
        seed: of the draw of scenes, clips and trajectories.
    """

    store: str
    scenes: int = 18
    grounding: int = 107
    navigation: int = 90
    absent: int = 36
    navigation_frames: int = 161
    cloud_points: int = 200_000
    environments: tuple[str, ...] | None = None
    seed: int = 0


@dataclass
class _Place:
    """What an environment of the store has to offer."""

    videos: list[StoredVideo]
    clips: list[StoredVideo]
    absent: list[dict]


def stored_benchmark(name: str, settings: StoredSettings) -> Benchmark:
    """Draw scenes that offer enough, and cases from each; the same store and settings give the same cases.

    Raises:
        InputError: no store that was prepared and curated, or one with too few scenes that offer enough.
    """
    require_4k_plus_1(settings.navigation_frames, "navigation-frames")
    settings = replace(settings, store=str(Path(settings.store).absolute()))
    origin, places = read_origin(settings.store), _places(settings)
    counts = [shared_out(n, settings.scenes) for n in (settings.grounding, settings.navigation, settings.absent)]
    rng = np.random.default_rng(settings.seed)
    order = [sorted(places)[k] for k in rng.permutation(len(places))]
    cases: list[Case] = []
    chosen: list[str] = []
    for environment in order:
        if len(chosen) == settings.scenes:
            break
        wanted = [of[len(chosen)] for of in counts]
        found = _cases_of(environment, places[environment], wanted, settings)
        if found is not None:
            chosen.append(environment)
            cases += found
    if len(chosen) < settings.scenes:
        raise InputError(
            f"{settings.store}: {len(chosen)} of its {len(places)} environments offer {counts[0][0]} clips, "
            f"{counts[1][0]} trajectories and {counts[2][0]} absent objects, {settings.scenes} were asked for: ask for "
            "fewer scenes or cases, or curate more"
        )
    cases = [replace(case, seed=place) for place, case in enumerate(cases)]
    fps = places[chosen[0]].videos[0].fps
    width, height = origin.size
    return Benchmark(name, "store", width, height, fps, json.loads(json.dumps(asdict(settings))), tuple(cases))


def _places(settings: StoredSettings) -> dict[str, _Place]:
    layout = StoreLayout(Path(settings.store))
    if not layout.clips.is_dir():
        raise InputError(
            f"{settings.store} holds no grounding clips: run `video4spatial curate {settings.store}` first"
        )
    store, clips = LatentStore(layout.root), LatentStore(layout.clips)
    wanted = settings.environments
    places: dict[str, _Place] = {}
    for row in store:
        if (wanted is None or row.environment_id in wanted) and "c2w" in row.tensors:
            places.setdefault(row.environment_id, _Place([], [], [])).videos.append(row)
    unknown = sorted(set(wanted or ()) - places.keys())
    if unknown:
        raise InputError(f"{settings.store} has no environment {unknown[0]!r}: check the name")
    for row in clips:
        if row.environment_id in places:
            places[row.environment_id].clips.append(row)
    if layout.absent.exists():
        for line in layout.absent.read_text(encoding="utf-8").splitlines():
            example = json.loads(line)
            if example["environment_id"] in places:
                places[example["environment_id"]].absent.append(example)
    return places


def _cases_of(environment: str, place: _Place, wanted: list[int], settings: StoredSettings) -> list[Case] | None:
    """The cases of one environment, None if it offers too few."""
    rng = np.random.default_rng([settings.seed, *environment.encode()])
    videos = {video.video_id: video for video in place.videos}
    scene_id = plain_name(environment)
    cases: list[Case] = []
    picked: list[StoredVideo] = []
    said: set[str] = set()
    for clip in (place.clips[k] for k in rng.permutation(len(place.clips))):
        start, stop = clip.meta["frames"]
        whole = videos[clip.meta["of"]].frames
        if clip.meta["phrase"] not in said and len(context_index(whole, start, stop)) >= LEAST_CONTEXT:
            said.add(clip.meta["phrase"])
            picked.append(clip)
    windows = _windows(place.videos, settings.navigation_frames, wanted[1], rng)
    if len(picked) < wanted[0] or windows is None or len(place.absent) < wanted[2]:
        return None
    for number, clip in enumerate(picked[: wanted[0]]):
        meta = clip.meta
        tail = meta["tail_latents"] * TIME_STRIDE
        facts = {"video": meta["of"], "frames": list(meta["frames"]), "box": list(meta["box"])}
        told = {"target": article(meta["phrase"].removeprefix("the ")), "category": meta["label"]}
        length = meta["frames"][1] - meta["frames"][0] + tail
        case_id = f"{scene_id}-grounding-{number}"
        cases.append(Case(case_id, "grounding", scene_id, length, tail, 0, **told, scene=meta["scene"], facts=facts))
    shape = cases[0] if cases else None
    for number, example in enumerate(place.absent[: wanted[2]]):
        video = place.videos[int(rng.integers(len(place.videos)))]
        start = int(rng.integers(video.frames))
        facts = {"video": video.video_id, "frames": [start, start + 1]}
        frames, tail = (shape.frames, shape.tail_frames) if shape else (settings.navigation_frames, 0)
        told = {"target": article(example["label"]), "category": example["label"]}
        place_said = scene_in(example["sentence"], told["target"])
        case_id = f"{scene_id}-absent-{number}"
        cases.append(Case(case_id, "absent", scene_id, frames, tail, 0, **told, scene=place_said, facts=facts))
    for number, (video_id, start) in enumerate(windows):
        facts = {"video": video_id, "frames": [start, start + settings.navigation_frames]}
        case_id = f"{scene_id}-navigation-{number}"
        cases.append(Case(case_id, "navigation", scene_id, settings.navigation_frames, 0, 0, facts=facts))
    return cases


def _windows(
    videos: list[StoredVideo], length: int, count: int, rng: np.random.Generator
) -> list[tuple[str, int]] | None:
    """``count`` different stretches of ``length`` frames that leave a context; None if there are fewer."""
    offers = [
        (video.video_id, start)
        for video in videos
        for start in range(video.frames - length + 1)
        if len(context_index(video.frames, start, start + length)) >= LEAST_CONTEXT
    ]
    if len(offers) < count:
        return None
    return [offers[k] for k in sorted(rng.choice(len(offers), count, replace=False))]


def context_index(frames: int, start: int, stop: int) -> Int[np.ndarray, " n"]:
    """The frames of a walk of ``frames`` without ``[start, stop)``: 4k + 1 of them, cut so that no group of four that
    the VAE takes together holds frames of both sides. The walk's end is kept."""
    before = (start - 1) // TIME_STRIDE * TIME_STRIDE + 1 if start else 0
    lone = 0 if before else 1  # the first frame of all is a group by itself
    after = max(0, (frames - stop - lone) // TIME_STRIDE * TIME_STRIDE + lone)
    return np.concatenate([np.arange(before), np.arange(frames - after, frames)])


def plain_name(environment: str) -> str:
    """The environment's name as part of a file's."""
    return re.sub(r"[^A-Za-z0-9_@-]", "_", environment)


def scene_in(sentence: str, target: str) -> str:
    """The place's description in a sentence of the paper's form; empty where it has another."""
    head, tail = grounding_sentence(target, "\0").split("\0")
    whole = sentence.startswith(head) and sentence.endswith(tail)
    return sentence[len(head) : len(sentence) - len(tail)] if whole else ""
