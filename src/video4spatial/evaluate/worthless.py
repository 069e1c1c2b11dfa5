"""Frames in which there is nothing to see: a judge need not look, and must not find anything.

A network asked about noise or a plain frame may answer all the same. What such frames are is told by three figures that
no picture of a room comes near.
"""

import numpy as np
from jaxtyping import UInt8

LEAST_SIDE = 32
"""Pixels of a frame's shorter side; what is smaller becomes a mosaic of patches that may look like anything."""
LEAST_CONTRAST = 3.0
"""Grey levels: the standard deviation of a frame's brightness. Ends of true clips in rooms have 21 and more."""
LEAST_LIKENESS = 0.3
"""Correlation of neighbouring pixels' brightness, the smaller of across and down: about 0 in noise, 0.87 and more at
the ends of true clips in rooms, 0.58 under noise of 60 grey levels."""


def nothing_to_see(frame: UInt8[np.ndarray, "H W 3"]) -> str:
    """Why a frame is no picture of anything, in words; empty for one that may be. Looked at in its own size."""
    height, width = frame.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return f"{width}x{height} pixels are too few to show anything"
    grey = frame.mean(axis=-1, dtype=np.float64)
    apart = grey - grey.mean()
    spread = float(np.square(apart).mean())
    if spread < LEAST_CONTRAST**2:
        return f"the frame is plain: its brightness varies by {spread**0.5:.1f} grey levels"
    across, down = (apart[:, 1:] * apart[:, :-1]).mean(), (apart[1:] * apart[:-1]).mean()
    if (likeness := float(min(across, down)) / spread) < LEAST_LIKENESS:
        return f"the frame is noise: its neighbouring pixels correlate by {likeness:.2f}"
    return ""
