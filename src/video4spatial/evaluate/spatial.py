"""Spatial Distance (SD): does the generated video show the scene that is really there?

    SD = max_i (1 / |P_i|) sum_{p in P_i} min_{q in GT} ||p - q||          (paper, section 4.1; metres)

``P_i`` are the points of frame i, reconstructed from the video, in the scene's frame; GT is the scene's point cloud.
One-sided: what the video does not show costs nothing; what it shows and the scene has not, does. The maximum over
frames, so that a single hallucinated frame is a failure. The reconstruction is brought into the scene's frame by its
anchors alone, true frames of known pose: first by their cameras (Umeyama, with scale), then by their points (ICP).
Generated points never take part in registration: they could hide their own error in it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction, Reconstructor
from video4spatial.geometry.align import umeyama
from video4spatial.schema import InputError

POINTS_A_FRAME = 1024
"""To which a frame's points are thinned; docs/evaluation-spatial.md states the error."""
CLOUD_POINTS = 400_000
"""Of the ground-truth cloud where it is sampled from a mesh; its spacing is the floor of SD."""

_ICP_POINTS = 4096  # of all anchors together
_ICP_ROUNDS = 20
_ICP_TRIM = 0.8  # share of the nearest pairs that are believed
_MOST_ANCHOR_METRES, _MOST_ANCHOR_DEGREES = 0.3, 15.0  # median errors of a registration that is believed
MOST_LOST = 0.5
"""Share of lost frames, those without a pose of their own, above which a video has no distance: it would be that of
places that were made up between a few known ones."""
MOST_WITHOUT_POINTS = 0.1
"""Share of the frames that may have no point: they cannot raise the maximum, so that more would hide what they show."""

_CELLS = 2**16


class SpatialOutcome(Enum):
    """What became of a video."""

    SCORED = "scored"
    NOT_RECONSTRUCTED = "not_reconstructed"  # the reconstructor gave up
    LOST = "lost"  # too many frames have no pose of their own
    NOT_REGISTERED = "not_registered"  # the anchors do not fit the scene
    NO_POINTS = "no_points"  # registered, and too many frames have no point


@dataclass(frozen=True)
class SpatialResult:
    """One video's SD.

    Attributes:
        distance: SD in metres; None unless the outcome is SCORED.
        reason: why there is no distance; empty if there is one.
        per_frame: the one-sided Chamfer distance of each frame (NaN: no points); ``worst`` the frame of the maximum.
        anchor_metres, anchor_degrees: median errors of the anchors' cameras after registration.
        scale: metres a unit of the reconstruction.
        lost: share of the frames that were not posed by themselves: all of them where there is no reconstruction.
    """

    outcome: SpatialOutcome
    distance: float | None
    reason: str = ""
    per_frame: tuple[float, ...] = ()
    worst: int | None = None
    anchor_metres: float | None = None
    anchor_degrees: float | None = None
    scale: float | None = None
    lost: float = 1.0

    def within(self, metres: float) -> bool:
        """Whether SD is below ``metres``: a video without a distance is not (SPEC: joint rates are over all)."""
        return self.distance is not None and self.distance < metres


class SceneCloud:
    """A scene's ground-truth points, ready to be asked for the nearest."""

    def __init__(self, points: Float[np.ndarray, "N 3"]) -> None:
        if not len(points) or not np.isfinite(points).all():
            raise InputError("the ground-truth cloud is empty or holds NaN: give finite points in metres")
        self.points = points
        self._tree = KDTree(points)

    def distances(self, points: Float[np.ndarray, "M 3"]) -> Float64[np.ndarray, " M"]:
        """Metres to the nearest point of the scene; exact."""
        return self._tree.query(points)[0]

    def nearest(self, points: Float[np.ndarray, "M 3"]) -> tuple[Float64[np.ndarray, " M"], Int[np.ndarray, " M"]]:
        """The same, and which points they are."""
        distance, index = self._tree.query(points)
        return distance, np.asarray(index)


class Similarity(NamedTuple):
    """``place -> scale * rotation @ place + t``."""

    scale: float
    rotation: Float64[np.ndarray, "3 3"]
    t: Float64[np.ndarray, "3"]

    def __call__(self, points: Float[np.ndarray, "N 3"]) -> Float64[np.ndarray, "N 3"]:
        return self.scale * points @ self.rotation.T + self.t


def thinned(points: Float[np.ndarray, "N 3"], count: int) -> Float[np.ndarray, "M 3"]:
    """At most ``count`` points, spread as the given ones are: every n-th along a space-filling curve (Morton order)."""
    if len(points) <= count:
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    cells = ((points - low) / max(float((high - low).max()), 1e-12) * (_CELLS - 1)).astype(np.uint64)
    order = np.argsort(_interleaved(cells), kind="stable")
    return points[order[np.linspace(0, len(points) - 1, count).round().astype(int)]]


def _interleaved(cells: np.ndarray) -> np.ndarray:
    """Morton codes of three 16-bit numbers: their bits, taken in turns."""
    code = np.zeros(len(cells), np.uint64)
    for bit in range(16):
        for axis in range(3):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return code


def register(made: Reconstruction, anchors: Anchors, cloud: SceneCloud) -> Similarity:
    """The similarity from the reconstruction's frame to the scene's: anchors' cameras, then anchors' points.

    Raises ``InputError`` where the anchors' cameras do not determine one (fewer than 3, or on one line).
    """
    usable = np.isfinite(made.anchor_c2w).all(axis=(1, 2))
    first = Similarity(*umeyama(made.anchor_c2w[usable, :3, 3], anchors.c2w[usable, :3, 3]))
    points = np.concatenate([np.empty((0, 3)), *made.anchor_points])
    points = thinned(points[np.isfinite(points).all(axis=1)], _ICP_POINTS)
    return icp(points, cloud, first) if len(points) >= 100 else first


def icp(points: Float[np.ndarray, "N 3"], cloud: SceneCloud, start: Similarity) -> Similarity:
    """Iterated closest points with scale, from ``start``: the nearer 80 % of the pairs count (trimmed ICP, Chetverikov
    et al., ICPR 2002). A step that brings the believed pairs no nearer is not taken."""
    best = start
    distance, pair = cloud.nearest(best(points))
    kept = _trimmed(distance)
    error = float(distance[kept].mean())
    for _ in range(_ICP_ROUNDS):
        try:
            step = Similarity(*umeyama(points[kept], cloud.points[pair[kept]]))
        except InputError:  # all on one line: nothing more to gain
            return best
        distance, pair = cloud.nearest(step(points))
        kept = _trimmed(distance)
        if distance[kept].mean() > 0.999 * error:
            return best
        best, error = step, float(distance[kept].mean())
    return best


def _trimmed(distance: np.ndarray) -> np.ndarray:
    return np.argsort(distance, kind="stable")[: int(np.ceil(_ICP_TRIM * len(distance)))]


def frame_distances(
    points: Sequence[Float[np.ndarray, "_ 3"]], cloud: SceneCloud, limit: int = POINTS_A_FRAME
) -> Float64[np.ndarray, " T"]:
    """The one-sided Chamfer distance of each frame's points, thinned to ``limit``; NaN for a frame without any."""
    thin = [thinned(part[np.isfinite(part).all(axis=1)], limit) for part in points]
    bounds = np.cumsum([0, *(len(part) for part in thin)])
    distance = cloud.distances(np.concatenate([np.empty((0, 3)), *thin]))
    return np.array(
        [distance[start:stop].mean() if stop > start else np.nan for start, stop in pairwise(bounds)],
        np.float64,
    )


def spatial_distance(
    made: Reconstruction | NotReconstructed,
    anchors: Anchors,
    cloud: SceneCloud,
    limit: int = POINTS_A_FRAME,
    most_lost: float = MOST_LOST,
) -> SpatialResult:
    """SD of a reconstructed video. Every way to fail is an outcome, none an exception.

    A lost frame counts with the points it has, placed between its neighbours; where more than ``most_lost`` of them
    are lost, or more than ``MOST_WITHOUT_POINTS`` have no points, there is no distance.
    """
    if isinstance(made, NotReconstructed):
        return SpatialResult(SpatialOutcome.NOT_RECONSTRUCTED, None, made.reason)
    lost = lost_share(made)
    if lost > most_lost:
        reason = f"{lost:.0%} of the frames were not found in the scene; at most {most_lost:.0%} may be lost"
        return SpatialResult(SpatialOutcome.LOST, None, reason, lost=lost)
    try:
        to_scene = register(made, anchors, cloud)
    except InputError as error:
        return SpatialResult(SpatialOutcome.NOT_REGISTERED, None, f"the anchors' cameras: {error}", lost=lost)
    metres, degrees = anchor_errors(made, anchors, to_scene)
    known: dict[str, Any] = {
        "anchor_metres": metres,
        "anchor_degrees": degrees,
        "scale": to_scene.scale,
        "lost": lost,
    }
    if metres > _MOST_ANCHOR_METRES or degrees > _MOST_ANCHOR_DEGREES:
        reason = f"after registration the anchors' cameras are off by {metres:.2f} m and {degrees:.0f} degrees (median)"
        return SpatialResult(SpatialOutcome.NOT_REGISTERED, None, reason, **known)
    distance = frame_distances([to_scene(part) for part in made.points], cloud, limit)
    bare = float(np.isnan(distance).mean())
    if bare > MOST_WITHOUT_POINTS:
        reason = f"{bare:.0%} of the frames have no point; at most {MOST_WITHOUT_POINTS:.0%} may have none"
        return SpatialResult(SpatialOutcome.NO_POINTS, None, reason, **known)
    worst = int(np.nanargmax(distance))
    return SpatialResult(
        SpatialOutcome.SCORED, float(distance[worst]), "", tuple(float(value) for value in distance), worst, **known
    )


def lost_share(made: Reconstruction) -> float:
    """The share of a video's frames that have no pose of their own; all of a video without frames."""
    return 1.0 - float(made.found.mean()) if len(made.found) else 1.0


def anchor_errors(made: Reconstruction, anchors: Anchors, to_scene: Similarity) -> tuple[float, float]:
    """Median error of the anchors' cameras in the scene's frame: metres, degrees. Anchors without a pose count as
    infinitely far off."""
    usable = np.isfinite(made.anchor_c2w).all(axis=(1, 2))
    count = len(made.anchor_c2w)
    metres, degrees = np.full(count, np.inf), np.full(count, 180.0)
    got, true = made.anchor_c2w[usable], anchors.c2w[usable]
    metres[usable] = np.linalg.norm(to_scene(got[:, :3, 3]) - true[:, :3, 3], axis=1)
    turned = Rotation.from_matrix(to_scene.rotation @ got[:, :3, :3])
    degrees[usable] = np.degrees((turned.inv() * Rotation.from_matrix(true[:, :3, :3])).magnitude())
    return float(np.median(metres)), float(np.median(degrees))


def measure(
    frames: UInt8[np.ndarray, "T H W 3"],
    anchors: Anchors,
    cloud: SceneCloud,
    reconstructor: Reconstructor,
    limit: int = POINTS_A_FRAME,
) -> SpatialResult:
    """SD of a generated video (without its box tail, whose frames repeat one another)."""
    return spatial_distance(reconstructor(frames, anchors), anchors, cloud, limit)


class SpatialSummary(NamedTuple):
    """Of many videos: mean SD of the scored ones, how many came to each outcome (all of them: they add up), and the
    share of ALL videos below 0.2 and 0.1 m."""

    mean: float | None
    outcomes: dict[SpatialOutcome, int]
    within_20cm: float
    within_10cm: float


def summarise(results: Sequence[SpatialResult]) -> SpatialSummary:
    """Totals over a set of videos; raises ``InputError`` for an empty one."""
    if not results:
        raise InputError("no results to sum up: measure at least one video")
    scored = [result.distance for result in results if result.distance is not None]
    counts = Counter(result.outcome for result in results)
    return SpatialSummary(
        float(np.mean(scored)) if scored else None,
        {outcome: counts[outcome] for outcome in SpatialOutcome},
        float(np.mean([result.within(0.2) for result in results])),
        float(np.mean([result.within(0.1) for result in results])),
    )
