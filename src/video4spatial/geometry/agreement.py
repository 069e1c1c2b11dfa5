"""Do two posed depth maps show the same surfaces in one frame of reference?"""

import numpy as np
from jaxtyping import Float

from video4spatial.geometry.cameras import project, unproject_depth
from video4spatial.schema import Intrinsics

_SAME_SURFACE = 0.1  # of the depth; beyond it something else stands in front of the point


def depth_agreement(
    depth: Float[np.ndarray, "H W"],
    c2w: Float[np.ndarray, "4 4"],
    intrinsics: Intrinsics,
    other_depth: Float[np.ndarray, "h w"],
    other_c2w: Float[np.ndarray, "4 4"],
    other_intrinsics: Intrinsics,
) -> tuple[float, float]:
    """Carry the points of one depth map into another view: ``(share, error)``.

    ``error`` is the median of |depth there - depth measured there| / depth there (NaN if no point is in view), over the
    points that land on the same surface (they differ by less than a tenth); ``share`` is the fraction of the points in
    view that do. In one frame of reference the share is high and the error that of the sensor; in two, few points land
    on a surface. Depths along z in metres, 0 where there is none; each with the lens of its own size.
    """
    points = unproject_depth(depth, c2w, intrinsics)[depth > 0]
    pixels, far = project(points, other_c2w, other_intrinsics)
    with np.errstate(invalid="ignore"):
        inside = (far > 0) & (pixels >= 0).all(axis=1) & (pixels < other_depth.shape[::-1]).all(axis=1)
    column, row = pixels[inside].astype(int).T
    there, measured = far[inside], other_depth[row, column]
    relative = np.abs(there - measured)[measured > 0] / there[measured > 0]
    same = relative[relative < _SAME_SURFACE]
    if not len(relative):
        return 0.0, float("nan")
    return len(same) / len(relative), float(np.median(same)) if len(same) else float("nan")
