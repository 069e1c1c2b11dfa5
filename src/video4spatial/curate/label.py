"""Labelling a scene: list the objects of every sampled frame, select clips, describe them, make the sentence."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from video4spatial.curate.answers import Detection, Outcome, parse_description, parse_objects
from video4spatial.curate.prompts import Coordinates, describe_clip, list_objects
from video4spatial.curate.select import Drop, Selection, SelectionConfig, sampled_frames, select_clip
from video4spatial.data.scene import Scene
from video4spatial.schema import InputError, grounding_sentence
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.question import FrameSource, Question

_FRAMES_AT_A_TIME = 16  # read from the scene together


@dataclass(frozen=True)
class LabelledClip:
    """A target clip in words: ``frames`` of the source video end centred on ``target``; ``sentence`` is the paper's."""

    video_id: str
    environment_id: str
    frames: range
    target: Detection
    scene: str
    phrase: str

    @property
    def sentence(self) -> str:
        return grounding_sentence(self.phrase, self.scene)


@dataclass
class Funnel:
    """What became of every sampled frame and of every clip: each is counted once, none is left out."""

    objects: Counter[Outcome] = field(default_factory=Counter)
    drops: Counter[Drop] = field(default_factory=Counter)
    descriptions: Counter[Outcome] = field(default_factory=Counter)

    @property
    def frames(self) -> int:
        return self.objects.total()

    @property
    def kept(self) -> int:
        return self.descriptions[Outcome.FOUND]

    def __add__(self, other: "Funnel") -> "Funnel":
        return Funnel(self.objects + other.objects, self.drops + other.drops, self.descriptions + other.descriptions)


@dataclass(frozen=True)
class SceneLabels:
    """A scene's clips, the counts, and ``labels``: of all the VLM listed in it, whether a clip ends there or not, and
    of every object that the dataset's own annotation names."""

    video_id: str
    environment_id: str
    clips: tuple[LabelledClip, ...]
    labels: frozenset[str]
    funnel: Funnel


def label_scene(
    scene: Scene,
    asker: Asker,
    config: SelectionConfig | None = None,
    coordinates: Coordinates = "relative-1000",
    described_frames: int = 8,
) -> SceneLabels:
    """Ask about every sampled frame of ``scene``, then about every clip that ends centred on an object.

    Args:
        described_frames: how many frames of a clip, evenly spread and the last among them, the description is made of.

    Raises:
        InputError: the scene is shorter than a clip, so that nothing could come of asking.
        VLMUnavailable: no answer can be had; what was answered is in the cache.
    """
    config = config or SelectionConfig()
    if described_frames < 1:
        raise InputError(f"described_frames is {described_frames}: give at least 1")
    sampled = sampled_frames(len(scene), config)
    if len(sampled) < config.clip_frames:
        raise InputError(
            f"{scene.video_id} has {len(sampled)} sampled frames (one in {config.every}), fewer than a clip's "
            f"{config.clip_frames}: leave it out, or sample more often"
        )
    funnel, selected = Funnel(), list[Selection]()
    labels = {f"{known.colour} {known.category}".strip() for known in scene.objects}
    for question, raw in asker.answers(_object_questions(scene, sampled, coordinates)):
        found = parse_objects(raw, *question.size, coordinates)
        funnel.objects[found.outcome] += 1
        labels.update(detection.label for detection in found.objects)
        if found.outcome is not Outcome.FOUND:
            continue
        chosen = select_clip(_last_frame(question), found.objects, question.size, config)
        if isinstance(chosen, Selection):
            selected.append(chosen)
        else:
            funnel.drops[chosen] += 1

    clips = []
    questions = _description_questions(scene, selected, coordinates, min(described_frames, config.clip_frames))
    for selection, (_, raw) in zip(selected, asker.answers(questions), strict=True):
        described = parse_description(raw)
        funnel.descriptions[described.outcome] += 1
        if described.outcome is Outcome.FOUND:
            words = (described.scene, described.target)
            clips.append(LabelledClip(scene.video_id, scene.environment_id, selection.frames, selection.target, *words))
    return SceneLabels(scene.video_id, scene.environment_id, tuple(clips), frozenset(labels), funnel)


def _object_questions(scene: Scene, sampled: range, coordinates: Coordinates) -> Iterator[Question]:
    for first in range(0, len(sampled), _FRAMES_AT_A_TIME):
        numbers = sampled[first : first + _FRAMES_AT_A_TIME]
        for number, frame in zip(numbers, scene.frames(numbers), strict=True):
            yield list_objects(frame, coordinates, FrameSource(scene.video_id, (number,)))


def _description_questions(
    scene: Scene, selected: list[Selection], coordinates: Coordinates, count: int
) -> Iterator[Question]:
    for selection in selected:
        spread = np.linspace(len(selection.frames) - 1, 0, count).round().astype(int)[::-1]
        numbers = tuple(selection.frames[int(place)] for place in spread)
        given = [round(corner) for corner in selection.target.given]
        source = FrameSource(scene.video_id, numbers)
        yield describe_clip(scene.frames(numbers), selection.target.label, given, coordinates, source)


def _last_frame(question: Question) -> int:
    if question.source is None:
        raise ValueError("a question about a scene names its frame")
    return question.source.frames[-1]
