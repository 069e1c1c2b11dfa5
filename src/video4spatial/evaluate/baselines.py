"""What a model must beat: videos made without one."""

import numpy as np
from einops import repeat
from jaxtyping import UInt8

from video4spatial.schema import Clip, InputError


def hold_first_frame(clip: Clip, frames: int) -> UInt8[np.ndarray, "{frames} H W 3"]:
    """The clip's first frame, shown for ``frames`` frames. Raises ``InputError`` for an empty clip or no frames."""
    if not len(clip) or frames < 1:
        raise InputError(f"a clip of {len(clip)} frames cannot be held for {frames}: give at least 1 of each")
    return repeat(clip.frames[0], "H W c -> frames H W c", frames=frames)
