"""Looking at one generated clip, to choose among several: what can be checked without knowing the true one.

Every check has a value or the reason why it has none. Which clip is the better one follows from the values alone, by a
fixed order of preference (``GROUNDING``, ``NAVIGATION``); a check without a value counts below every value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.following import following_error
from video4spatial.evaluate.judge import Judge, JudgedClip, centred
from video4spatial.evaluate.known_scene import KnownScene
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.path_consistency import path_consistency
from video4spatial.evaluate.reconstruct import NotReconstructed
from video4spatial.evaluate.recovered import Recovered, recovered_path
from video4spatial.evaluate.spatial import spatial_distance
from video4spatial.geometry.boxes import iou, read_box_tail
from video4spatial.geometry.paths import METRES_PER_RADIAN
from video4spatial.schema import CameraPath, InputError

Value = float | bool
FOLLOWED_WITHIN = 0.5
"""Metres, one radian counting as one, that a recovered camera may be off on average to have followed its path."""
LEAST_FOUND = 0.5
"""Share of a clip's frames that must be found in the scene for its camera to be compared with the path."""
MOST_LOST = 0.9
"""Share of lost frames up to which a clip has an SD here: clips of one ask are only ranked among themselves, and one
whose lost frames fit badly ranks lower. ``spatial.MOST_LOST`` is for figures. COLMAP gives lost frames no points, so
that ``spatial.MOST_WITHOUT_POINTS`` is the limit there, as in figures: what they show would hide."""
NO_JUDGE, NO_SCENE = "no judge was asked", "no reconstructor was given"


@dataclass(frozen=True)
class Preference:
    """One step of an order: the key of a check, which way is better, and its name and digits in tables."""

    key: str
    title: str
    better: Literal["higher", "lower"] = "higher"
    digits: int = 2


GROUNDING: tuple[Preference, ...] = (
    Preference("passed", "passed"),
    Preference("followed", "judge: there, centred"),
    Preference("box_centred", "box centred"),
    Preference("box_found", "box read"),
    Preference("shown", "judge: there"),
    Preference("sd", "SD (m)", "lower"),
    Preference("box_overlap", "box on it (IoU)"),
    Preference("confidence", "box drawn"),
)
NAVIGATION: tuple[Preference, ...] = (
    Preference("passed", "passed"),
    Preference("camera", "camera off (m + rad)", "lower"),
    Preference("sd", "SD (m)", "lower"),
    Preference("consistency", "moves as asked"),
)


@dataclass(frozen=True)
class Checks:
    """What was found: ``values`` by key, ``missing`` the reasons of the keys without; ``notes`` tells more.

    ``recovered`` is the camera path that the clip shows, or why there is none.
    """

    values: Mapping[str, Value]
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    recovered: Recovered | NotComputed = field(default=NotComputed(NO_SCENE), compare=False, repr=False)

    @property
    def passed(self) -> bool | None:
        """Whether the clip does what it was asked to, as far as was checked; None: nothing was that could tell."""
        value = self.values.get("passed")
        return None if value is None else bool(value)

    def to_json(self) -> dict[str, Any]:
        scores = {key: value if isinstance(value, bool) else round(value, 4) for key, value in self.values.items()}
        told: dict[str, Any] = {"scores": scores, "missing": dict(self.missing)}
        return told | ({"notes": dict(self.notes)} if self.notes else {})


def rank(checks: Checks, order: tuple[Preference, ...]) -> tuple[float, ...]:
    """A key that sorts better clips first: each step of the order in turn, what is missing last."""
    key = []
    for step in order:
        value = checks.values.get(step.key)
        key.append(np.inf if value is None else float(value) if step.better == "lower" else -float(value))
    return tuple(key)


@dataclass(frozen=True)
class Verifier:
    """What there is to check clips with.

    Attributes:
        judge: sees whether the target is there; None: none.
        scene: the place as it is known, or why it is not; None: no reconstructor was given.
    """

    judge: Judge | None = None
    scene: KnownScene | NotReconstructed | None = None

    def grounding(self, frames: UInt8[np.ndarray, "T H W 3"], tail_frames: int, target: str) -> Checks:
        """Box, judge and place of a grounding clip. It passed if its red box is centred and, with a judge, the target
        is there and centred (the paper's success, ``Verdict.followed``)."""
        height, width = frames.shape[1:3]
        values, missing, notes = _nothing()
        box = None
        if not tail_frames:
            missing |= dict.fromkeys(("box_found", "box_centred", "confidence"), "this model draws no box")
        else:
            box, confidence = read_box_tail(frames, tail_frames) or (None, 0.0)
            values |= {"box_found": box is not None, "confidence": confidence}
            values["box_centred"] = box is not None and centred(box, width, height)
        seen = None
        if self.judge is None:
            missing |= dict.fromkeys(("followed", "shown"), NO_JUDGE)
        else:
            (verdict,) = self.judge.verdicts([JudgedClip(frames, target, tail_frames)])
            seen = verdict.box
            if verdict.followed is None:
                missing |= dict.fromkeys(("followed", "shown"), f"{verdict.outcome}: {verdict.reason}")
            else:
                values |= {"followed": verdict.followed, "shown": verdict.found}
                notes |= {"judge": str(verdict.outcome)} | ({"reason": verdict.reason} if verdict.reason else {})
        if box is not None and seen is not None:
            values["box_overlap"] = iou(box, seen)
        else:
            missing["box_overlap"] = "no red box" if box is None else missing.get("shown", "the judge sees no target")
        decisive = (["box_centred"] if tail_frames else []) + (["followed"] if self.judge is not None else [])
        if decisive:
            values["passed"] = all(values.get(key, False) for key in decisive)
        else:
            missing["passed"] = "neither a box nor a judge to go by"
        recovered = self._place(frames[: len(frames) - tail_frames], None, values, missing, notes)
        return Checks(values, missing, notes, recovered)

    def navigation(self, frames: UInt8[np.ndarray, "T H W 3"], path: CameraPath) -> Checks:
        """Camera and place of a navigation clip; ``path``: one pose a frame. With a reconstructor it passed if the
        recovered camera is off by ``FOLLOWED_WITHIN`` at most; without there is no saying."""
        values, missing, notes = _nothing()
        found = path_consistency(frames, path)
        if isinstance(found, NotComputed):
            missing["consistency"] = found.reason
        else:
            values["consistency"] = found
        recovered = self._place(frames, path, values, missing, notes)
        if isinstance(self.scene, KnownScene):
            values["passed"] = values.get("camera", np.inf) <= FOLLOWED_WITHIN
        else:
            missing["passed"] = missing["camera"]
        return Checks(values, missing, notes, recovered)

    def _place(
        self,
        frames: np.ndarray,
        path: CameraPath | None,
        values: dict[str, Value],
        missing: dict[str, str],
        notes: dict[str, Any],
    ) -> Recovered | NotComputed:
        """SD of the moving frames, and how far their camera is from the path."""
        keys = ("sd",) if path is None else ("sd", "camera")
        if not isinstance(self.scene, KnownScene):
            reason = NO_SCENE if self.scene is None else self.scene.reason
            missing |= dict.fromkeys(keys, reason)
            return NotComputed(reason)
        scene = self.scene
        try:
            made = scene.reconstructor(frames[:: scene.every(len(frames))], scene.anchors)
        except InputError as error:
            made = NotReconstructed(str(error))
        result = spatial_distance(made, scene.anchors, scene.cloud, most_lost=MOST_LOST)
        if result.distance is None:
            missing["sd"] = f"{result.outcome.value}: {result.reason}"
        else:
            values["sd"] = result.distance
        if isinstance(made, NotReconstructed):
            missing |= {} if path is None else {"camera": made.reason}
            return NotComputed(made.reason)
        recovered = recovered_path(made, scene, len(frames), None if path is None else path.c2w)
        if path is None:
            return recovered
        if isinstance(recovered, NotComputed):
            missing["camera"] = recovered.reason
            return recovered
        followed = following_error(recovered.c2w, recovered.found, path.c2w)
        if followed.degrees is None or followed.metres is None:
            missing["camera"] = followed.reason
            return recovered
        share = float(recovered.found[:: scene.every(len(frames))].mean())
        if share < LEAST_FOUND:
            missing["camera"] = f"only {share:.0%} of the frames were found in the scene; {LEAST_FOUND:.0%} must be"
            return recovered
        metres = 0.0 if recovered.scale == "arbitrary" else followed.metres
        values["camera"] = metres + METRES_PER_RADIAN * float(np.radians(followed.degrees))
        notes |= {"camera_degrees": round(followed.degrees, 2), "camera_scale": recovered.scale}
        notes |= {} if recovered.scale == "arbitrary" else {"camera_metres": round(followed.metres, 3)}
        return recovered


def _nothing() -> tuple[dict[str, Value], dict[str, str], dict[str, Any]]:
    return {}, {}, {}
