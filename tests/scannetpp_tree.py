"""Writes a room as a scene of ScanNet++ v2, every file as the toolkit reads it (FORMATS: scannetpp/scannetpp).

Depth keeps the dataset's 256 x 192; the video is 320 x 240 instead of 1920 x 1440, of the same aspect.
"""

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import lz4.block
import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from video4spatial.geometry.poses import invert
from video4spatial.rooms import Room, tour
from video4spatial.rooms.compiled import OBJECT
from video4spatial.schema import Intrinsics

SCENE_ID, ABSENT_ID = "0a1b2c3d4e", "ffffffffff"
LENS = Intrinsics(223.7, 221.9, 155.3, 123.4, 320, 240)  # not centred, not square: a swap of anything shows
PHOTO_LENS = Intrinsics(101.0, 102.5, 76.1, 50.2, 150, 100)
FPS = 60.0
FIRST_ID = 10  # objectId of a room's object is its id there plus this
BOOT = 81234.5  # the phone's clock at the first frame


@dataclass(frozen=True)
class Walk:
    """What the camera truly saw: poses, frames ``[T, 240, 320, 3]``, depth and object ids ``[T, 192, 256]``."""

    room: Room
    c2w: np.ndarray
    rgb: np.ndarray
    depth: np.ndarray
    instance: np.ndarray

    def __len__(self) -> int:
        return len(self.c2w)


def walk(room: Room, frames: int = 12) -> Walk:
    """A quick walk: neighbouring frames differ by centimetres and degrees, so that one frame off shows."""
    c2w = tour(room, frames, seed=5, fps=4.0)
    seen = room.render(c2w, LENS.resized(256, 192), supersample=1)
    return Walk(room, c2w, room.render(c2w, LENS).rgb, seen.depth, seen.instance)


def write_release(root: Path, made: Walk, **options) -> Path:
    """``root`` with one scene on disk, and one that its splits list but that is absent; returns the scene's folder."""
    (root / "splits").mkdir(parents=True)
    (root / "splits" / "nvs_sem_train.txt").write_text(f"{SCENE_ID}\n{ABSENT_ID}\n")
    (root / "splits" / "nvs_sem_val.txt").write_text(f"{ABSENT_ID}\n")
    folder = root / "data" / SCENE_ID
    write_iphone(folder, made, **options)
    write_scans(folder, made.room)
    return folder


def write_iphone(
    folder: Path,
    made: Walk,
    video: str = "rgb.mkv",
    depth: str = "lz4",
    times: Sequence[float] | None = None,
    every: int = 2,
) -> None:
    """``iphone/``: ``depth`` is global, lz4 or deflate; ``times`` in seconds; COLMAP has one frame in ``every``."""
    iphone = folder / "iphone"
    iphone.mkdir(parents=True)
    seconds = np.arange(len(made)) / FPS if times is None else np.asarray(times)
    write_frames(iphone / video, made.rgb, seconds)
    (iphone / "depth.bin").write_bytes(DEPTH[depth](made.depth))
    entries = {
        f"frame_{index:06d}": {
            "pose": np.linalg.inv(pose).tolist(),  # of another frame of reference: reading it shows
            "aligned_pose": pose.tolist(),
            "intrinsic": LENS.matrix.tolist(),
            "timestamp": BOOT + float(seconds[index]),
            "imu": {"rotate_rate": [0, 0, 0], "acceleration": [0, 0, 0], "magnet": [0, 0, 0]},
        }
        for index, pose in enumerate(made.c2w)
    }
    (iphone / "pose_intrinsic_imu.json").write_text(json.dumps(entries))
    (iphone / "exif.json").write_text("{}")
    chosen = range(0, len(made), every)
    write_colmap(iphone / "colmap", made.c2w, chosen)
    (iphone / "nerfstudio").mkdir()
    names = [f"frame_{index:06d}.jpg" for index in chosen]
    write_transforms(iphone / "nerfstudio" / "transforms.json", made.c2w[chosen], names, LENS, "OPENCV")


def write_frames(path: Path, frames: np.ndarray, seconds: np.ndarray, keyframes: int = 5) -> None:
    """H.264 with a keyframe every ``keyframes`` frames, each frame shown at its time."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.gop_size = "yuv420p", keyframes
        stream.options = {"crf": "8", "bf": "2"}
        stream.codec_context.time_base = Fraction(1, 60000)
        for frame, at in zip(frames, seconds, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = round(float(at) * 60000), Fraction(1, 60000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _framed(pack: Callable[[np.ndarray], bytes]) -> Callable[[np.ndarray], bytes]:
    def write(depth: np.ndarray) -> bytes:
        payloads = [pack(frame) for frame in depth]
        return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)

    return write


def _millimetres(frame: np.ndarray) -> bytes:
    return np.round(frame * 1000).astype("<u2").tobytes()


DEPTH: dict[str, Callable[[np.ndarray], bytes]] = {
    "global": lambda depth: _raw_deflate(depth.astype("<f4").tobytes()),
    "lz4": _framed(lambda frame: lz4.block.compress(_millimetres(frame), store_size=False)),
    "deflate": _framed(lambda frame: _raw_deflate(frame.astype("<f4").tobytes())),
}


def write_colmap(folder: Path, c2w: np.ndarray, chosen: Sequence[int]) -> None:
    """The text model, its images in no order, under a folder's name, each with a line of points."""
    folder.mkdir(parents=True)
    k = LENS
    lens = f"{k.width} {k.height} {k.fx!r} {k.fy!r} {k.cx!r} {k.cy!r} 0 0 0 0"
    (folder / "cameras.txt").write_text(f"# Camera list\n1 OPENCV {lens}\n")
    (folder / "points3D.txt").write_text("# 3D point list\n")
    lines = ["# Image list with two lines of data per image"]
    for index in reversed(chosen):
        w2c = invert(c2w[index])
        x, y, z, w = Rotation.from_matrix(w2c[:3, :3]).as_quat().tolist()
        values = " ".join(repr(value) for value in (w, x, y, z, *w2c[:3, 3].tolist()))
        lines += [f"{index + 1} {values} 1 video/frame_{index:06d}.jpg", "10.5 20.5 -1 30.25 40.5 7"]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")


def write_transforms(path: Path, c2w: np.ndarray, names: Sequence[str], lens: Intrinsics, model: str, **more) -> None:
    """As nerfstudio's colmap_to_json wrote it: OpenGL axes, then the world's rows swapped and one negated."""
    frames = []
    for pose, name in zip(c2w, names, strict=True):
        matrix = pose.copy()
        matrix[:3, 1:3] *= -1
        matrix = matrix[[1, 0, 2, 3]]
        matrix[2] *= -1
        frames.append({"file_path": name, "transform_matrix": matrix.tolist(), "is_bad": False})
    camera = {"fl_x": lens.fx, "fl_y": lens.fy, "cx": lens.cx, "cy": lens.cy, "w": lens.width, "h": lens.height}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"camera_model": model, **camera, "frames": frames, "test_frames": [], **more}
    path.write_text(json.dumps(content))


def write_scans(folder: Path, room: Room, a_segment: str = "patch") -> None:
    """``scans/``: the room's own triangles; a segment is a "patch" (old releases) or a "vertex" (new ones)."""
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    scene = room.scene
    patch = np.zeros(len(scene.vertices), dtype=np.int64)
    patch[scene.triangles.reshape(-1)] = np.repeat(scene.triangle_patch, 3)
    for name in ("mesh_aligned_0.05.ply", "mesh_aligned_0.05_semantic.ply"):
        write_ply(scans / name, scene.vertices, scene.triangles)
    segment = 7 * patch + 3 if a_segment == "patch" else np.arange(len(patch))
    (scans / "segments.json").write_text(json.dumps({"sceneId": SCENE_ID, "segIndices": segment.tolist()}))
    owner = scene.patch_int[:, OBJECT][patch]
    groups = []
    for made in room.objects:
        axes = Rotation.from_euler("z", made.yaw).as_matrix().T  # an axis a row
        box = {"centroid": made.centre.tolist(), "axesLengths": np.asarray(made.size).tolist()}
        box["normalizedAxes"] = axes.reshape(-1).tolist()
        segments = np.unique(segment[owner == made.id])[::-1].tolist()
        groups.append({"id": len(groups) + 1, "objectId": made.id + FIRST_ID, "label": made.category})
        groups[-1] |= {"segments": segments, "obb": box}
    (scans / "segments_anno.json").write_text(json.dumps({"sceneId": SCENE_ID, "segGroups": groups}))


def write_ply(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> None:
    rows = np.zeros(len(vertices), np.dtype([(axis, "<f4") for axis in "xyz"] + [("red", "u1"), ("label", "<i4")]))
    for column, axis in enumerate("xyz"):
        rows[axis] = vertices[:, column]
    faces = np.zeros(len(triangles), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
    faces["count"], faces["corners"] = 3, triangles
    header = f"""ply
format binary_little_endian 1.0
comment a room
element vertex {len(rows)}
property float x
property float y
property float z
property uchar red
property int label
element face {len(faces)}
property list uchar int vertex_indices
end_header
"""
    path.write_bytes(header.encode() + rows.tobytes() + faces.tobytes())


def write_photos(folder: Path, made: Walk) -> list[np.ndarray]:
    """``dslr/``: undistorted photographs from every third pose, which it returns, and the fisheye ones' transforms."""
    dslr = folder / "dslr"
    chosen = range(0, len(made), 3)
    photos = list(made.room.render(made.c2w[chosen], PHOTO_LENS).rgb)
    names = [f"DSC{1000 + index:05d}.JPG" for index in chosen]
    (dslr / "resized_undistorted_images").mkdir(parents=True)
    (dslr / "resized_images").mkdir()
    for name, photo in zip(names, photos, strict=True):
        for where in ("resized_undistorted_images", "resized_images"):
            Image.fromarray(photo).save(dslr / where / name, format="JPEG", quality=97, subsampling=0)
    where = dslr / "nerfstudio"
    write_transforms(where / "transforms_undistorted.json", made.c2w[chosen], names, PHOTO_LENS, "PINHOLE", k1=0.0)
    write_transforms(where / "transforms.json", made.c2w[chosen], names, PHOTO_LENS, "OPENCV_FISHEYE", k1=0.1)
    (dslr / "train_test_lists.json").write_text(json.dumps({"train": names, "test": [], "has_masks": True}))
    return photos
