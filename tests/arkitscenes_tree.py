"""Writes rooms as a tree of ARKitScenes' raw dataset, as download_data.py leaves it (FORMATS: apple/ARKitScenes).

Frames can be painted with their surface's place in the world instead of its colour: then each pixel of a PNG tells, to
a millimetre, which point it shows, and everything read from the tree can be checked against it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from video4spatial.geometry.cameras import unproject_depth
from video4spatial.geometry.poses import invert
from video4spatial.rooms import Room
from video4spatial.schema import Intrinsics

METADATA = "video_id,visit_id,sky_direction,fold,has_laser_scanner_point_clouds,is_in_upsampling,is_in_threedod"
PERIOD = 0.25  # metres after which painted places repeat
# How the iPad was turned about its line of sight: the stored camera's axes in those of an upright one, as columns.
ROLLED = {
    "Up": np.diag([1.0, 1, 1]),
    "Down": np.diag([-1.0, -1, 1]),
    "Left": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),  # up is the stored -x: stored x looks down, y to the left
    "Right": np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
}
LENS = Intrinsics(531.2, 529.8, 322.6, 237.1, 640, 480)  # not centred, not square: a swap of anything shows
ANNOTATED = ("fridge", "stool", "picture", "door", "counter")


@dataclass
class ARKitVideoFixture:
    """What was written: the true upright poses of its frames, the annotated objects, its folder."""

    folder: Path
    c2w: np.ndarray
    objects: list


def rolled(c2w: np.ndarray, sky: str) -> np.ndarray:
    """The poses of the iPad held so that the sky is on the ``sky`` side of what it stores."""
    turned = c2w.copy()
    turned[..., :3, :3] = c2w[..., :3, :3] @ ROLLED[sky]
    return turned


def paint_places(depth: np.ndarray, c2w: np.ndarray, lens: Intrinsics) -> np.ndarray:
    """The world coordinates of what each pixel shows, modulo ``PERIOD``, as colours."""
    place = unproject_depth(depth, c2w, lens)
    return np.round(np.mod(place, PERIOD) / PERIOD * 256).astype(np.int64).astype(np.uint8)


def traj_line(seconds: float, c2w: np.ndarray) -> str:
    """A line of lowres_wide.traj: the inverse, as axis times angle; digits as in the dataset's."""
    w2c = invert(c2w)
    values = [*Rotation.from_matrix(w2c[:3, :3]).as_rotvec(), *w2c[:3, 3]]
    return f"{seconds:.8f} " + " ".join(repr(float(value)) for value in values)


def write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, compress_level=1)


def write_video(
    root: Path,
    room: Room,
    c2w: np.ndarray,
    video_id: str,
    visit_id: str = "NA",
    sky: str = "Up",
    fold: str = "Training",
    lens: Intrinsics = LENS,
    start: float = 6845.70605696,
    paint: bool = True,
    frames: Sequence[int] | None = None,
    said_sky: str | None = None,
    highres: bool = False,
) -> ARKitVideoFixture:
    """One video and its row of metadata.csv.

    ``c2w`` are true upright poses at 60 Hz, the clock of the sensor: every sixth is in the trajectory, every second is
    a frame of vga_wide (only those of ``frames`` are written), each frame has lowres_depth and confidence.
    """
    folder = root / "raw" / fold / video_id
    folder.mkdir(parents=True)
    stored = rolled(c2w, sky)
    seconds = start + np.arange(len(c2w)) / 60
    ticks = np.arange(len(c2w))[::2] if frames is None else np.asarray(frames)
    (folder / "lowres_wide.traj").write_text(
        "".join(traj_line(seconds[n], stored[n]) + "\n" for n in range(0, len(c2w), 6))
    )
    low = lens.resized(256, 192)
    for n in ticks:
        name = f"{video_id}_{seconds[n]:.3f}"
        seen = room.render(stored[n : n + 1], lens, 1)
        frame = paint_places(seen.depth[0], stored[n], lens) if paint else seen.rgb[0]
        write_png(folder / "vga_wide" / f"{name}.png", frame)
        pincam = folder / "vga_wide_intrinsics" / f"{name}.pincam"
        pincam.parent.mkdir(exist_ok=True)
        pincam.write_text(f"{lens.width} {lens.height} {lens.fx:g} {lens.fy:g} {lens.cx:g} {lens.cy:g}")
        depth = room.render(stored[n : n + 1], low, 1).depth[0]
        sure = np.full(depth.shape, 2, np.uint8)
        sure[depth > 3.5] = 1
        sure[: 192 // 8] = 0
        write_png(folder / "lowres_depth" / f"{name}.png", np.round(depth * 1000).astype(np.uint16))
        write_png(folder / "confidence" / f"{name}.png", sure)
        if highres and n % 6 == 0:
            whole = room.render(stored[n : n + 1], lens.resized(1920, 1440), 1).depth[0]
            write_png(folder / "highres_depth" / f"{name}.png", np.round(whole * 1000).astype(np.uint16))
    objects = [o for o in room.objects if o.category in ANNOTATED]
    (folder / f"{video_id}_3dod_annotation.json").write_text(json.dumps(annotation(objects)), encoding="utf-8")
    add_row(root, video_id, visit_id, said_sky or sky, fold)
    return ARKitVideoFixture(folder, c2w[ticks], objects)


def annotation(objects: list) -> dict:
    """The boxes of room objects as 3DOD annotation: the ROWS of normalizedAxes are the box's axes, lengths are full."""
    data = []
    for made in objects:
        c, s = np.cos(made.yaw), np.sin(made.yaw)
        rows = [c, s, 0, -s, c, 0, 0, 0, 1]
        box = {
            "centroid": [float(v) for v in made.centre],
            "axesLengths": [max(float(v), 0.01) for v in made.size],
            "normalizedAxes": [float(v) for v in rows],
        }
        data.append({"uid": f"uid-{made.id}", "label": made.category, "segments": {"obbAligned": box}})
    return {"data": data, "skipped": False, "stats": {}}


def add_row(root: Path, video_id: str, visit_id: str, sky: str, fold: str) -> None:
    """A row of metadata.csv, which is begun if it is not there."""
    table = root / "raw" / "metadata.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    if not table.exists():
        table.write_text(METADATA + "\n")
    with table.open("a") as file:
        file.write(f"{video_id},{visit_id},{sky},{fold},False,False,True\n")
