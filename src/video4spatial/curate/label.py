"""Labelling a scene: list the objects of every sampled frame, select clips, describe them, make the sentence."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from video4spatial.curate.answers import ObjectList, Outcome, parse_description, parse_objects
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.prompts import Coordinates, describe_clip, list_objects
from video4spatial.curate.select import Drop, Selection, SelectionConfig, centred_target, sampled_frames, select_clip
from video4spatial.data.scene import Scene
from video4spatial.schema import InputError
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.question import FrameSource, Question

_FRAMES_AT_A_TIME = 16  # read from the scene together
_ANYWHERE = 2.0  # as a centre ratio: all of the frame


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
    looks, size = list[Look](), (0, 0)
    selected: dict[int, Selection] = {}
    ends: dict[str, int] = {}
    labels = {f"{known.colour} {known.category}".strip() for known in scene.objects}
    for question, raw in asker.answers(_object_questions(scene, sampled[:: config.look_every], coordinates)):
        size = question.size
        found = parse_objects(raw, *size, coordinates)
        labels.update(detection.label for detection in found.objects)
        look, selection = _looked(_last_frame(question), found, size, config, ends)
        if selection is not None:
            selected[len(looks)] = selection
        looks.append(look)

    questions = _description_questions(scene, selected.values(), coordinates, min(described_frames, config.clip_frames))
    for place, (_, raw) in zip(selected, asker.answers(questions), strict=True):
        described = parse_description(raw)
        looks[place] = replace(
            looks[place],
            description=described.outcome,
            scene=described.scene,
            phrase=described.target,
            reason=described.reason,
        )
    return SceneLabels(
        scene.video_id, scene.environment_id, config.clip_frames, config.every, size, tuple(looks), frozenset(labels)
    )


def _looked(
    frame: int, found: ObjectList, size: tuple[int, int], config: SelectionConfig, ends: dict[str, int]
) -> tuple[Look, Selection | None]:
    """What a frame's objects lead to; ``ends`` holds the last end of a clip on each label, and is kept up."""
    look = Look(frame, found.outcome, len(found.objects), reason=found.reason)
    if found.outcome is not Outcome.FOUND:
        return look, None
    target = centred_target(found.objects, *size, config.centre_ratio)
    look = replace(look, target=target or centred_target(found.objects, *size, _ANYWHERE))
    chosen = select_clip(frame, found.objects, size, config)
    if isinstance(chosen, Drop):
        return replace(look, drop=chosen), None
    label = chosen.target.label.casefold()
    if label in ends and frame - ends[label] < config.spacing * config.every:
        return replace(look, drop=Drop.TOO_CLOSE), None
    ends[label] = frame
    return look, chosen


def _object_questions(scene: Scene, looked_at: range, coordinates: Coordinates) -> Iterator[Question]:
    for first in range(0, len(looked_at), _FRAMES_AT_A_TIME):
        numbers = looked_at[first : first + _FRAMES_AT_A_TIME]
        for number, frame in zip(numbers, scene.frames(numbers), strict=True):
            yield list_objects(frame, coordinates, FrameSource(scene.video_id, (number,)))


def _description_questions(
    scene: Scene, selected: Iterable[Selection], coordinates: Coordinates, count: int
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
