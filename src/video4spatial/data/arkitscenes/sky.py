"""Which way is up in the stored images: the iPad was held on its side or upside down in many videos.

``sky_direction`` of metadata.csv is the side of the stored image on which the sky is: "Left" is brought upright by a
quarter turn clockwise. The column is known to be wrong for some videos (cvg/LabelMaker issue 20 names 41098184), so the
poses, where there are some, come first.
"""

import numpy as np

from video4spatial.geometry.timed import TimedPoses

SKY_TURNS = {"Up": 0, "Right": 1, "Down": 2, "Left": 3}  # quarter turns anticlockwise that bring the image upright
_UPS = {"Up": (0, -1), "Left": (-1, 0), "Down": (0, 1), "Right": (1, 0)}  # image directions: x right, y down


def sky_of_poses(poses: TimedPoses) -> str | None:
    """The side of the stored images on which the sky is, from where the world's z points in them; None without poses.

    The rule of the toolkit (``threedod/benchmark_scripts/rectify_im.py``, ``decide_pose``), on the mean of all poses.
    """
    if not len(poses.times):
        return None
    up = poses.c2w[:, 2, :2].mean(axis=0)  # the world's z in camera axes, x and y
    return max(_UPS, key=lambda sky: float(np.dot(up, _UPS[sky])))
