"""What a model must beat: videos made without one."""

import numpy as np
from einops import rearrange, repeat
from jaxtyping import Float, Float64, Int, UInt8
from scipy.spatial.transform import Rotation

from video4spatial.evaluate.cases import CaseContent
from video4spatial.geometry.paths import METRES_PER_RADIAN
from video4spatial.schema import Clip, InputError

_CELLS = 16  # a side, of the grid that frames are compared on


def hold_first_frame(clip: Clip, frames: int) -> UInt8[np.ndarray, "{frames} H W 3"]:
    """The clip's first frame, shown for ``frames`` frames. Raises ``InputError`` for an empty clip or no frames."""
    if not len(clip) or frames < 1:
        raise InputError(f"a clip of {len(clip)} frames cannot be held for {frames}: give at least 1 of each")
    return repeat(clip.frames[0], "H W c -> frames H W c", frames=frames)


def walk_on(content: CaseContent) -> UInt8[np.ndarray, "T H W 3"]:
    """Retrieval without poses: the walk-through played on from the context frame nearest in pixels to the first frame.

    Nearest by mean square error of 16x16 grey cells. The walk's last frame is held if it ends early. The first frame
    itself is the given one. The instruction is not looked at: without poses or words a retrieval cannot follow it.
    """
    context = content.context.frames
    difference = cells(context) - cells(content.first_frame[None])
    start = int(np.square(difference).mean(axis=1).argmin())
    index = np.minimum(start + np.arange(content.case.frames), len(context) - 1)
    return _from_first(content, index)


def nearest_poses(content: CaseContent) -> UInt8[np.ndarray, "T H W 3"] | None:
    """Retrieval with oracle poses: for each true pose of the clip the context frame whose camera is nearest to it.

    Nearest in metres, a radian of rotation counting as a metre (``METRES_PER_RADIAN``). The model is given neither the
    context's poses nor, in grounding, the true way. None where there is no truth.
    """
    if content.truth_path is None:
        return None
    return _from_first(content, nearest_cameras(content.truth_path.c2w, content.context_c2w))


def nearest_cameras(c2w: Float[np.ndarray, "T 4 4"], among: Float[np.ndarray, "N 4 4"]) -> Int[np.ndarray, " T"]:
    """For each pose the index of the nearest of ``among``, that have a pose: distance plus angle between them."""
    known = np.flatnonzero(np.isfinite(among).all(axis=(1, 2)))
    if not len(known):
        raise InputError("no context frame has a pose: retrieval by poses needs them")
    posed = among[known]
    apart = np.linalg.norm(c2w[:, None, :3, 3] - posed[None, :, :3, 3], axis=-1)
    turned = [_angles(pose[:3, :3], posed[:, :3, :3]) for pose in c2w]
    return known[(apart + METRES_PER_RADIAN * np.stack(turned)).argmin(axis=1)]


def _angles(rotation: Float[np.ndarray, "3 3"], others: Float[np.ndarray, "N 3 3"]) -> Float64[np.ndarray, " N"]:
    return (Rotation.from_matrix(rotation).inv() * Rotation.from_matrix(others)).magnitude()


def _from_first(content: CaseContent, index: Int[np.ndarray, " T"]) -> UInt8[np.ndarray, "T H W 3"]:
    """Context frames of these numbers behind the first frame; in the tail's place the last of them is held."""
    case = content.case
    frames = content.context.frames[index[: case.frames]].copy()
    frames[0] = content.first_frame
    frames[case.moving :] = frames[case.moving - 1]
    return frames


def cells(frames: UInt8[np.ndarray, "T H W 3"]) -> Float64[np.ndarray, "T D"]:
    """Frames as vectors to be compared: grey, cut into 16x16 cells, each cell's mean."""
    height, width = frames.shape[1:3]
    if min(height, width) < _CELLS:
        raise InputError(f"frames of {width}x{height} are too small to compare: give at least {_CELLS} pixels a side")
    rows, columns = (np.linspace(0, side, _CELLS + 1).astype(int) for side in (height, width))
    grey = frames.astype(np.float64).mean(axis=-1)
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=1), columns[:-1], axis=2)
    return rearrange(sums / np.outer(np.diff(rows), np.diff(columns)), "T h w -> T (h w)")
