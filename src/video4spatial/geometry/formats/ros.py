"""A ROS-style list of poses: what a ``nav_msgs/Path`` message holds, as YAML or JSON.

    header: {frame_id: map, stamp: {sec: 0, nanosec: 0}}
    poses:
    - header: {frame_id: map, stamp: {sec: 0, nanosec: 62500000}}
      pose: {position: {x, y, z}, orientation: {x, y, z, w}}
    child_frame_id: camera_link            # ours, and optional: which of the camera's two frames the poses are of

A camera has two frames in ROS (REP 103, "suffix frames"): its body, ``camera_link``, with x forward, y left, z up, and
the optical frame, ``camera_optical_frame``, with z forward, x right, y down, which is ours. ``frame_id`` is the world's:
its axes are x forward, y left, z up in ours relative to the first camera, so that a path that starts level stays level.

We write poses of ``camera_link`` in a frame whose axes are x forward, y left, z up: places and rotations both are turned
by ``OPTICAL_TO_BODY``. With the frame ``*_optical_frame`` nothing is turned. Reading goes by the same names, world and
child each by its own; a file without ``child_frame_id`` is of the body. Lens and size ride along under ``camera_info``
(ours too). A plain message printed by ``ros2 topic echo`` is read: unknown keys are let be.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from video4spatial.geometry.formats.text import camera_path, read_json_text, read_text, write_text
from video4spatial.schema import CameraPath, InputError, Intrinsics
