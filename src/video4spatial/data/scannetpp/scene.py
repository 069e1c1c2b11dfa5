"""The iPhone's video of a ScanNet++ scene as a Scene."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from video4spatial.data.scannetpp.depth import HEIGHT, WIDTH, DepthStream, FramedDepth, open_depth
from video4spatial.data.scannetpp.files import SceneFiles, naming_scene, require_file
from video4spatial.data.scannetpp.objects import read_objects
from video4spatial.data.scannetpp.poses import FramePoses, PoseSource, read_poses
from video4spatial.data.scene import SceneObject
from video4spatial.geometry.sightings import Sighting, sightings
from video4spatial.geometry.timed import TimedPoses, is_posed
from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.seek import SeekableVideo

_SLACK = 0.01  # of the frames by which the streams' lengths may differ; real scenes are off by one (toolkit issue 104)
_LENS_SPREAD = 0.02
_OFF_CENTRE = 0.2  # of the image's side that a principal point may lie from the middle


@dataclass(frozen=True)
class ScanNetPPOptions:
    """How a scene is read.

    Attributes:
        poses: "arkit" (every frame), or COLMAP's of a subset of the frames: "colmap" or, the same in another file,
            "nerfstudio".
        max_gap: seconds between two poses up to which the frames between get interpolated ones (place on a line,
            rotation by Slerp); 0: none.
        depth: whether to read depth.bin.
        objects: whether to read the scan's annotation.
    """

    poses: PoseSource = "arkit"
    max_gap: float = 0.0
    depth: bool = True
    objects: bool = True


class ScanNetPPScene:
    """An iPhone video of ScanNet++; frames, depth and objects are read when asked for.

    Frame ``i`` is the ``i``-th of the video, and has the pose and depth of that number. Poses are in the mesh's frame
    (world z up, metres); NaN in ``c2w`` where a frame has none. ``timestamps`` are the phone's where the pose file has
    them, else the video's. Depth is 256 x 192, see ``depth_intrinsics``.

    Attributes:
        remarks: what was odd and what was done about it, in words, for reports.

    Raises:
        BadScene: a file is missing, empty or cut off, no pose can be used, the streams' lengths differ by more than 1 %
            (at least 2 frames), or the lens is of another image; at first use where it cannot be told before.
    """

    def __init__(self, folder: Path, options: ScanNetPPOptions | None = None) -> None:
        self.files = SceneFiles(folder)
        self.options = options or ScanNetPPOptions()
        self.environment_id = f"scannetpp-{self.files.scene_id}"
        self.video_id = f"{self.environment_id}-iphone"
        self.remarks: list[str] = []
        with self._naming():
            self._video = SeekableVideo(require_file(self.files.video))
            poses = read_poses(self.files, self.options.poses)
            self.remarks += poses.remarks
            poses = self._within_video(poses)
            self.timestamps: Float64[np.ndarray, " T"] = self._clock(poses)
            self.fps = float(1 / np.median(np.diff(self.timestamps)))
            self.c2w: Float[np.ndarray, "T 4 4"] | None = self._posed(poses)
            self._lenses = self._lenses_of(poses)
            self.intrinsics: Intrinsics | None = self._lens()
            self._depth = self._open_depth()
            if self.options.objects and not self.files.annotation.is_file():
                self.remarks.append(f"{self.files.annotation.name} is missing: no objects")

    def __len__(self) -> int:
        return len(self._video)

    @cached_property
    def objects(self) -> list[SceneObject]:
        """The annotated objects of the scan; raises ``BadScene`` if its files cannot be read."""
        if not self.options.objects or not self.files.annotation.is_file():
            return []
        with self._naming():
            return read_objects(self.files)

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames of these indices, at the video's size."""
        with self._naming():
            return self._video.read(indices)

    def depth(self, indices: Sequence[int]) -> Float32[np.ndarray, "T 192 256"] | None:
        """LiDAR depth along z in metres, 0 where there is none; None without depth.bin, or if it is not read."""
        if self._depth is None:
            return None
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"{self.video_id} has {len(self)} frames, numbered from 0: {list(indices)} reach beyond")
        with self._naming():
            known = wanted < self._depth_frames
            metres = np.zeros((len(wanted), HEIGHT, WIDTH), np.float32)
            metres[known] = self._depth.read(wanted[known].tolist())
        return metres

    @property
    def depth_intrinsics(self) -> Intrinsics | None:
        """The lens of the depth images: the same view at their size."""
        return None if self.intrinsics is None else self.intrinsics.resized(WIDTH, HEIGHT)

    def intrinsics_of(self, index: int) -> Intrinsics:
        """The lens of one frame (it breathes with the focus); ``intrinsics`` is the video's median."""
        fx, fy, cx, cy = self._lenses[index].tolist()
        if not math.isfinite(fx):
            with self._naming():
                raise InputError(f"frame {index} has no intrinsic in the file of its pose: use the scene's intrinsics")
        return Intrinsics(fx, fy, cx, cy, *self._video.size)

    def sightings(self, index: int) -> dict[int, Sighting]:
        """The objects that frame ``index`` shows, by their ids: 2D boxes in its pixels, told apart by its depth.

        Raises:
            BadScene: the frame has no pose, or the scene no depth.
        """
        depth = self.depth([index])
        with self._naming():
            if depth is None:
                raise InputError("there is no depth, which tells what hides what: fetch iphone/depth.bin")
            if self.c2w is None or not is_posed(self.c2w[[index]])[0]:
                raise InputError(f"frame {index} has no pose: choose another")
        lens = self.intrinsics_of(index) if np.isfinite(self._lenses[index]).all() else self.intrinsics
        assert lens is not None
        corners = np.array([o.corners for o in self.objects], dtype=np.float64).reshape(-1, 8, 3)
        seen = sightings(corners, depth[0], self.c2w[index], lens)
        return {o.object_id: s for o, s in zip(self.objects, seen, strict=True) if s is not None}

    def close(self) -> None:
        """Close the video; the next ``frames`` opens it again."""
        self._video.close()

    def _naming(self):
        return naming_scene(self.files.scene_id)

    @property
    def _slack(self) -> int:
        return max(2, math.ceil(_SLACK * len(self)))

    def _within_video(self, poses: FramePoses) -> FramePoses:
        """The poses of frames that the video has."""
        last, frames = int(poses.numbers[-1]), len(self)
        if last >= frames + self._slack:
            raise InputError(
                f"{self.files.video} has {frames} frames, but there are poses up to frame {last}: the video is cut "
                "off, fetch it again"
            )
        inside = poses.numbers < frames
        if not inside.all():
            self.remarks.append(f"{int((~inside).sum())} poses are beyond the video's {frames} frames: left out")
        return FramePoses(
            poses.numbers[inside], poses.c2w[inside], poses.lens[inside], poses.seconds[inside], poses.size
        )

    def _clock(self, poses: FramePoses) -> Float64[np.ndarray, " T"]:
        """Seconds since the first frame: the phone's, and between and beyond them the video's steps."""
        video = self._video.timestamps
        if len(video) < 2:
            raise InputError(f"{self.files.video} has one frame only: fetch it again, or leave the scene out")
        known = np.isfinite(poses.seconds)
        if not known.any():
            return video
        numbers, seconds = poses.numbers[known], poses.seconds[known]
        back = np.flatnonzero(np.diff(seconds) <= 0)
        if len(back):
            frame = int(numbers[back[0] + 1])
            raise InputError(f"{self.files.poses}: the timestamp of frame {frame} does not rise: fetch it again")
        before, after = np.minimum(video - video[numbers[0]], 0), np.maximum(video - video[numbers[-1]], 0)
        times = np.interp(video, video[numbers], seconds) + before + after
        return times - times[0]

    def _posed(self, poses: FramePoses) -> Float64[np.ndarray, "T 4 4"]:
        c2w = np.full((len(self), 4, 4), np.nan)
        c2w[poses.numbers] = poses.c2w
        posed = is_posed(c2w)
        if not posed.any():
            raise InputError(f"none of the video's {len(self)} frames has a usable pose: choose other poses")
        if self.options.max_gap > 0 and not posed.all():
            times = self.timestamps
            between = TimedPoses(times[posed], c2w[posed]).at(times[~posed], exact=0.0, max_gap=self.options.max_gap)
            c2w[~posed] = between
            self.remarks.append(f"{int(is_posed(between).sum())} poses are interpolated")
        missing = int((~is_posed(c2w)).sum())
        if missing:
            self.remarks.append(f"{missing} of {len(self)} frames have no pose")
        return c2w

    def _lenses_of(self, poses: FramePoses) -> Float64[np.ndarray, "T 4"]:
        if poses.size is not None and poses.size != self._video.size:
            (w, h), (width, height) = poses.size, self._video.size
            raise InputError(
                f"the lens of {self.options.poses} is of {w}x{h} images, but the video is {width}x{height}"
            )
        lenses = np.full((len(self), 4), np.nan)
        lenses[poses.numbers] = poses.lens
        return lenses

    def _lens(self) -> Intrinsics:
        known: Float64[np.ndarray, "N 4"] = self._lenses[np.isfinite(self._lenses).all(axis=1)]
        if not len(known):
            raise InputError(f"{self.files.poses} has no intrinsic that can be used: fetch it again")
        fx, fy, cx, cy = np.median(known, axis=0).tolist()
        width, height = self._video.size
        if abs(cx / width - 0.5) > _OFF_CENTRE or abs(cy / height - 0.5) > _OFF_CENTRE:
            raise InputError(
                f"the principal point ({cx:.0f}, {cy:.0f}) is far from the middle of the {width}x{height} video: "
                "is it of another size, or turned? fetch the original"
            )
        spread = float(np.ptp(known[:, 0]) / fx)
        if spread > _LENS_SPREAD:
            self.remarks.append(f"the focal length varies by {spread:.1%}: intrinsics is the median, see intrinsics_of")
        return Intrinsics(fx, fy, cx, cy, width, height)

    def _open_depth(self) -> DepthStream | None:
        if not self.options.depth:
            return None
        if not self.files.depth.exists():
            self.remarks.append(f"{self.files.depth.name} is missing: no depth")
            return None
        stream = open_depth(self.files.depth)
        if isinstance(stream, FramedDepth):  # a global stream's length is only known once it is decompressed
            self._require_length(len(stream))
        return stream

    @cached_property
    def _depth_frames(self) -> int:
        assert self._depth is not None
        frames = len(self._depth)
        self._require_length(frames)
        return frames

    def _require_length(self, frames: int) -> None:
        off = frames - len(self)
        if abs(off) > self._slack:
            short = self.files.depth if off < 0 else self.files.video
            raise InputError(
                f"{self.files.depth} has {frames} frames and {self.files.video.name} {len(self)}: {short.name} is cut "
                "off, fetch it again (or read without depth)"
            )
