"""Where in a known room each frame of a video was seen from: dense alignment against the room's own renders.

Gauss-Newton on colours, coarse to fine: at a pose the room is rendered (colour and depth), and the small motion that
carries the render onto the frame is solved for with robust weights, so that what does not agree (a moved chair, an
invented one) counts little; then again from there. Linearised with the mean of both images' gradients (Malis, ESM,
ICRA 2004). Frames follow one another; one that resembles no view near the last is looked for all over the room.
"""

from typing import NamedTuple

import numpy as np
from einops import reduce
from jaxtyping import Bool, Float, Float32, Float64, UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter
from scipy.spatial.transform import Rotation

from video4spatial.evaluate.views import views_of_objects
from video4spatial.geometry.cameras import directions
from video4spatial.geometry.poses import invert
from video4spatial.rooms import Room
from video4spatial.schema import Intrinsics

LEAST_AGREEMENT = 0.6
"""Of a view and a frame (``agreement``) for the view's pose to be the frame's; see ``docs/evaluation-spatial.md``."""

_LEVELS = ((4, 3), (2, 3), (1, 3))  # (divisor of the size, steps)
_TRACKED_LEVELS = ((2, 2), (1, 2))
_BLUR = 1.2  # pixels: an edge that is a step has no gradient to follow
_NEW_EDGE = 1.06  # ratio of depths of neighbours beyond which the nearer one owns the edge
_PRIOR = np.array([0.25, 0.25, 0.25, 0.15, 0.15, 0.15])  # metres and radians that a step may take without evidence
_CAUCHY = 20.0  # grey levels (of the three channels together) at which a pixel's say is halved
_SIGMA = 3.0  # grey levels that the prior is weighed with
_STARTS = 6
_BLOCKS = 8
_LEAST_CONTRAST = 3.0  # grey levels, mean over the frame
_PLAIN = 12.0  # grey levels; a barer block counts as if it had as much contrast
_START_APART = 0.5  # metres, or radians
_MARGIN = 0.02  # metres to the walls
_LOST_EVERY = 8  # of the frames in a row that are lost, one is looked for all over the room


class Pose(NamedTuple):
    """``c2w [4, 4]`` and how well the view from there agrees with the frame."""

    c2w: Float64[np.ndarray, "4 4"]
    agreement: float


class Track(NamedTuple):
    """``c2w [T, 4, 4]``, ``registered [T]`` and ``agreement [T]``; poses of unregistered frames are interpolated."""

    c2w: Float64[np.ndarray, "T 4 4"]
    registered: Bool[np.ndarray, " T"]
    agreement: Float64[np.ndarray, " T"]


class ScenePoses:
    """Finds poses in one room. ``intrinsics`` are those of the frames; both sides must divide by 8.

    Args:
        given: poses worth trying where a frame is lost (the anchors'); views of every object are added.
    """

    def __init__(self, room: Room, given: Float[np.ndarray, "A 4 4"], intrinsics: Intrinsics) -> None:
        self.room, self.intrinsics = room, intrinsics
        self.candidates = np.concatenate([given, views_of_objects(room)])
        self.looks = {by: intrinsics.resized(intrinsics.width // by, intrinsics.height // by) for by in (1, 2, 4)}
        self.rays = {by: directions(look) for by, look in self.looks.items()}
        self._seen = _flat(np.stack([blurred(rgb) for rgb in room.render(self.candidates, self.looks[4]).rgb]))

    def track(self, frames: UInt8[np.ndarray, "T H W 3"]) -> Track:
        """Poses of a video's frames, each started from where the last motion leads, lost ones again from behind."""
        count = len(frames)
        c2w, agreement = np.tile(np.eye(4), (count, 1, 1)), np.zeros(count)
        registered = np.zeros(count, bool)
        last: list[np.ndarray] = []
        lost = 0
        for k, frame in enumerate(frames):
            found = Pose(np.eye(4), 0.0)
            levels = pyramid(frame)
            if last:
                guess = last[-1] @ invert(last[-2]) @ last[-1] if len(last) > 1 and not lost else last[-1]
                found = self.align(levels, guess, _TRACKED_LEVELS if not lost else _LEVELS)
            if found.agreement < LEAST_AGREEMENT and lost % _LOST_EVERY == 0:
                found = max(found, self.find(levels), key=lambda pose: pose.agreement)
            agreement[k] = found.agreement
            if found.agreement >= LEAST_AGREEMENT:
                c2w[k], registered[k], lost = found.c2w, True, 0
                last = [*last[-1:], found.c2w]
            else:
                lost += 1
        for k in range(count - 2, -1, -1):  # what was lost before it was found again, from behind
            if registered[k + 1] and not registered[k]:
                found = self.align(pyramid(frames[k]), c2w[k + 1], _LEVELS)
                agreement[k] = max(agreement[k], found.agreement)
                if found.agreement >= LEAST_AGREEMENT:
                    c2w[k], registered[k] = found.c2w, True
        return Track(interpolated(c2w, registered), registered, agreement)

    def find(self, levels: dict[int, Float32[np.ndarray, "_ _ 3"]]) -> Pose:
        """The best of the alignments that start at the candidates most like the frame."""
        error = np.abs(self._seen - _flat(levels[4][None])).mean(axis=1)
        starts: list[int] = []
        for k in np.argsort(error, kind="stable"):
            if not any(_near(self.candidates[k], self.candidates[other]) for other in starts):
                starts.append(int(k))
            if len(starts) == _STARTS:
                break
        coarse = [self.align(levels, self.candidates[k], _LEVELS[:2]) for k in starts]
        best = max(coarse, key=lambda pose: pose.agreement)
        return self.align(levels, best.c2w, _LEVELS[1:])

    def align(
        self,
        levels: dict[int, Float32[np.ndarray, "_ _ 3"]],
        c2w: Float64[np.ndarray, "4 4"],
        steps: tuple[tuple[int, int], ...],
    ) -> Pose:
        """The pose near ``c2w`` whose view is most like the frame, given as its ``pyramid``."""
        for by, count in steps:
            for _ in range(count):
                seen = self.room.render(c2w[None], self.looks[by])
                step = motion(levels[by], blurred(seen.rgb[0]), seen.depth[0], self.rays[by], self.looks[by])
                c2w = self._inside(c2w @ step)
        by = steps[-1][0]
        seen = self.room.render(c2w[None], self.looks[by])
        return Pose(c2w, agreement(levels[by], blurred(seen.rgb[0])))

    def _inside(self, c2w: np.ndarray) -> np.ndarray:
        c2w = c2w.copy()
        c2w[:3, :3] = Rotation.from_matrix(
            c2w[:3, :3]
        ).as_matrix()  # products drift from rigid, and extrapolating doubles it
        c2w[:3, 3] = np.clip(c2w[:3, 3], _MARGIN, np.array(self.room.size) - _MARGIN)
        return c2w


def pyramid(frame: UInt8[np.ndarray, "H W 3"]) -> dict[int, Float32[np.ndarray, "_ _ 3"]]:
    """The frame at full, half and quarter size, by area, each blurred."""
    height, width = frame.shape[:2]
    image = Image.fromarray(frame)
    small = {by: image.resize((width // by, height // by), Image.Resampling.BOX) for by in (1, 2, 4)}
    return {by: blurred(np.asarray(part)) for by, part in small.items()}


def blurred(image: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, "H W 3"]:
    """Smoothed enough to have a gradient at an edge."""
    return gaussian_filter(image.astype(np.float32), (_BLUR, _BLUR, 0))


def motion(
    frame: Float32[np.ndarray, "H W 3"],
    seen: Float32[np.ndarray, "H W 3"],
    depth: Float32[np.ndarray, "H W"],
    rays: Float64[np.ndarray, "H W 3"],
    lens: Intrinsics,
) -> Float64[np.ndarray, "4 4"]:
    """The motion of the camera (in its own axes) that carries ``seen`` onto ``frame``, to first order, rigid."""
    residual = frame - seen
    residual = residual - np.median(residual, axis=(0, 1))  # exposure
    gradient_v, gradient_u = np.gradient((frame + seen) / 2, axis=(0, 1))
    near = minimum_filter(depth, 3)
    owned = np.where(maximum_filter(depth, 3) > _NEW_EDGE * near, near, depth)  # an edge belongs to the nearer side
    z = np.maximum(owned, 0.05)[..., None]
    x, y = rays[..., :1], rays[..., 1:2]
    a, b = gradient_u * lens.fx, gradient_v * lens.fy
    radial = a * x + b * y
    columns = [a / z, b / z, -radial / z, -b - radial * y, a + radial * x, b * x - a * y]
    jacobian = np.stack(columns, axis=-1)
    size = np.sqrt(np.square(residual).sum(axis=-1))
    weight = (depth > 0) / (1 + np.square(size / _CAUCHY))
    weight[[0, -1]] = 0
    weight[:, [0, -1]] = 0
    weighted = jacobian * weight[..., None, None]
    flat = jacobian.reshape(-1, 6)
    normal = weighted.reshape(-1, 6).T @ flat + np.diag((_SIGMA / _PRIOR) ** 2)
    twist = np.linalg.solve(normal, weighted.reshape(-1, 6).T @ residual.reshape(-1))
    twist = twist / max(1.0, float(np.abs(twist / _PRIOR).max()))
    step = np.eye(4)
    step[:3, :3] = Rotation.from_rotvec(twist[3:]).as_matrix()
    step[:3, 3] = twist[:3]
    return step


def agreement(frame: Float32[np.ndarray, "H W 3"], seen: Float32[np.ndarray, "H W 3"]) -> float:
    """How much of the frame the view explains, robustly: the median over 8x8 blocks of 1 minus the ratio of the mean
    absolute errors of the view and of a flat image, brightness aside. At most 1; about 0 for a view that explains
    nothing. Half of the blocks may show something else. A frame without contrast agrees with nothing (0)."""
    residual = np.abs(frame - seen - np.median(frame - seen, axis=(0, 1))).mean(axis=-1)
    flat = np.abs(frame - np.median(frame, axis=(0, 1))).mean(axis=-1)
    if flat.mean() < _LEAST_CONTRAST:
        return 0.0
    left, contrast = (reduce(part, "(a h) (b w) -> a b", "mean", a=_BLOCKS, b=_BLOCKS) for part in (residual, flat))
    return float(np.median(1 - left / np.maximum(contrast, _PLAIN)))


def interpolated(c2w: Float64[np.ndarray, "T 4 4"], known: Bool[np.ndarray, " T"]) -> Float64[np.ndarray, "T 4 4"]:
    """Poses where ``known`` is False put between their known neighbours (line and Slerp), held beyond the ends.

    Without any known pose all stay as they are.
    """
    at = np.flatnonzero(known)
    if not len(at):
        return c2w
    out = c2w.copy()
    for k in np.flatnonzero(~known):
        after = int(np.searchsorted(at, k))
        low, high = at[max(after - 1, 0)], at[min(after, len(at) - 1)]
        share = (k - low) / (high - low) if high > low else 0.0
        turn = Rotation.from_matrix(c2w[low, :3, :3].T @ c2w[high, :3, :3]).as_rotvec() * share
        out[k, :3, :3] = c2w[low, :3, :3] @ Rotation.from_rotvec(turn).as_matrix()
        out[k, :3, 3] = (1 - share) * c2w[low, :3, 3] + share * c2w[high, :3, 3]
    return out


def _flat(frames: Float32[np.ndarray, "N H W 3"]) -> Float32[np.ndarray, "N D"]:
    values = frames - frames.mean(axis=(1, 2), keepdims=True)
    return values.reshape(len(values), -1)


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    turn = np.arccos(np.clip(one[:3, 2] @ other[:3, 2], -1, 1))
    return bool(np.linalg.norm(one[:3, 3] - other[:3, 3]) < _START_APART and turn < _START_APART)
