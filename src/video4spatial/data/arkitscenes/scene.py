"""One video of ARKitScenes as a Scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from video4spatial.data.arkitscenes.annotation import read_annotation
from video4spatial.data.arkitscenes.files import TimedFiles, read_measured, read_pincam
from video4spatial.data.arkitscenes.sky import SKY_TURNS, sky_of_poses
from video4spatial.data.arkitscenes.trajectory import read_trajectory
from video4spatial.data.scene import BadScene, SceneObject
from video4spatial.geometry.timed import TimedPoses, is_posed
from video4spatial.geometry.turns import turn_images, turn_intrinsics, turn_poses
from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.video import read_image

# nor mesh, nor annotation: download_data.py, missing_3dod_assets_video_ids
_WITHOUT_TRAJECTORY = """
47334522 47334523 42897421 45261582 47333152 47333155 48458535 48018733 47429677 48458541 42897848 47895482
47333960 47430089 42899148 42897612 42899153 42446164 48018149 47332198 47334515 45663223 45663226 45663227
"""
WITHOUT_TRAJECTORY = frozenset(_WITHOUT_TRAJECTORY.split())
_PINCAM_WITHIN = 0.001  # seconds, as the toolkit
_LENSES_READ = 24  # of a video's thousands of .pincam files, for its median lens
_LENS_SPREAD = 0.02


@dataclass(frozen=True)
class ARKitOptions:
    """How a video is read.

    Attributes:
        frames: the stream of images: "vga_wide" (640x480, 30 Hz), "lowres_wide" (256x192, 60 Hz), "wide" (1920x1440,
            for videos with highres_depth).
        depth: "lowres_depth" (256x192, LiDAR, 60 Hz) or "highres_depth" (1920x1440, from the laser scan, 10 Hz and not
            of every video: frames without are all 0).
        min_confidence: lowres_depth of less confidence (0, 1, 2) is read as 0, none.
        exact: seconds within which a pose or depth image counts as the frame's own (the toolkit's 0.005).
        max_gap: seconds between two poses beyond which nothing is interpolated (they come about every 0.1).
        sky: where the sky is in the stored images: found from "poses" (where there are none, from metadata.csv), taken
            from "metadata", or said ("Up", "Left", ...).
        objects: whether to read the 3DOD boxes.
    """

    frames: str = "vga_wide"
    depth: str = "lowres_depth"
    min_confidence: int = 0
    exact: float = 0.005
    max_gap: float = 0.25
    sky: str = "poses"
    objects: bool = True

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            known = _KNOWN.get(name)
            if known is not None and value not in known:
                raise InputError(f"{name} is {value!r}: choose one of {', '.join(map(str, known))}")


_KNOWN = {
    "frames": ("vga_wide", "lowres_wide", "wide"),
    "depth": ("lowres_depth", "highres_depth"),
    "min_confidence": (0, 1, 2),
    "sky": ("poses", "metadata", *SKY_TURNS),
}


class ARKitScene:
    """A video of ARKitScenes, upright; images and depth are read when asked for.

    Poses (OpenCV axes, metres, world z up) are those of the laser scan's frame. A frame without a pose holds NaN in
    ``c2w`` (``unbroken_runs`` finds stretches without); ``c2w`` is None if the video has no trajectory. Depth has a
    size of its own, see ``depth_intrinsics``.

    Attributes:
        remarks: what was odd and what was done about it, in words, for reports.
        sky: the side of the stored image on which the sky was, before it was turned.
    """

    def __init__(
        self, folder: Path, environment_id: str, metadata_sky: str | None = None, options: ARKitOptions | None = None
    ) -> None:
        self.folder, self.environment_id, self.video_id = folder, environment_id, folder.name
        self.options = options or ARKitOptions()
        self.remarks: list[str] = []
        self._images = self._files(self.options.frames, ".png")
        if len(self._images) < 2:
            count = len(self._images)
            raise BadScene(
                f"{self._images.folder} holds {count} frames: fetch {self.options.frames} of {self.video_id}"
            )
        self._times = self._images.times  # the dataset's clock, which poses and depth keep too
        self.timestamps: Float64[np.ndarray, " T"] = self._times - self._times[0]
        self.fps = _rate(self.timestamps)
        poses = self._poses()
        self.sky = self._sky(poses, metadata_sky)
        self._turns = SKY_TURNS[self.sky]
        self._lenses = self._files(f"{self.options.frames}_intrinsics", ".pincam")
        self.intrinsics: Intrinsics | None = self._lens()
        self.c2w: Float[np.ndarray, "T 4 4"] | None = None if poses is None else self._posed(poses)
        self._depths = self._files(self.options.depth, ".png")
        self._confidences = self._files("confidence", ".png")
        self._annotation = folder / f"{self.video_id}_3dod_annotation.json"
        if self.options.objects and not self._annotation.is_file():
            self.remarks.append(f"{self._annotation.name} is missing: no objects")

    def __len__(self) -> int:
        return len(self._images)

    @cached_property
    def objects(self) -> list[SceneObject]:
        """The annotated furniture; raises ``BadScene`` if the file cannot be read."""
        return read_annotation(self._annotation) if self.options.objects and self._annotation.is_file() else []

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames of these indices, upright."""
        width, height = self._stored.width, self._stored.height
        images = np.empty((len(indices), height, width, 3), np.uint8)
        for row, index in enumerate(indices):
            try:
                image = read_image(self._images.paths[index])
            except InputError as error:
                raise BadScene(str(error)) from None
            if image.shape != images.shape[1:]:
                found = f"{image.shape[1]}x{image.shape[0]}, not {width}x{height} as its .pincam says"
                raise BadScene(f"{self._images.paths[index]} is {found}: fetch it again")
            images[row] = image
        return turn_images(images, self._turns)

    def depth(self, indices: Sequence[int]) -> Float32[np.ndarray, "T h w"] | None:
        """Depth along z in metres, 0 where there is none: no return, too little confidence, no depth image in time.

        Of its own size; None if the video has no such folder.
        """
        if not len(self._depths):
            return None
        size = self._depths.size()
        found = self._depths.nearest(self._times[list(indices)], self.options.exact)
        metres = np.zeros((len(indices), size[1], size[0]), np.float32)
        for row, number in enumerate(found):
            if number >= 0:
                metres[row] = read_measured(self._depths.paths[number], size, sixteen_bits=True) / np.float32(1000)
        metres = turn_images(metres, self._turns)
        if self.options.min_confidence > 0 and self.options.depth == "lowres_depth":
            confidence = self.confidence(indices)
            if confidence is None or confidence.shape != metres.shape:
                raise BadScene(
                    f"{self._confidences.folder} does not match {self._depths.folder}: fetch confidence again"
                )
            metres[confidence < self.options.min_confidence] = 0
        return metres

    def confidence(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T h w"] | None:
        """How sure lowres_depth is, 0 (low) to 2 (high); 0 where there is no such image; None without the folder."""
        if not len(self._confidences):
            return None
        size = self._confidences.size()
        found = self._confidences.nearest(self._times[list(indices)], self.options.exact)
        values = np.zeros((len(indices), size[1], size[0]), np.uint8)
        for row, number in enumerate(found):
            if number >= 0:
                values[row] = read_measured(self._confidences.paths[number], size, sixteen_bits=False)
        return turn_images(values, self._turns)

    @property
    def depth_intrinsics(self) -> Intrinsics | None:
        """The lens of the depth images: the same view at their size."""
        if self.intrinsics is None or not len(self._depths):
            return None
        width, height = self._depths.size()
        return self.intrinsics.resized(*((height, width) if self._turns % 2 else (width, height)))

    def intrinsics_of(self, index: int) -> Intrinsics:
        """The lens of one frame (it breathes with the focus); ``intrinsics`` is the video's median."""
        (number,) = self._lenses.nearest(self._times[[index]], _PINCAM_WITHIN)
        if number < 0:
            raise BadScene(f"{self._images.paths[index]} has no .pincam within {_PINCAM_WITHIN} s: fetch them again")
        return turn_intrinsics(read_pincam(self._lenses.paths[number]), self._turns)

    def _files(self, name: str, suffix: str) -> TimedFiles:
        return TimedFiles(self.folder / name, self.video_id, suffix)

    def _poses(self) -> TimedPoses | None:
        path = self.folder / "lowres_wide.traj"
        if not path.exists():
            if self.video_id in WITHOUT_TRAJECTORY:
                self.remarks.append("one of the 24 videos without trajectory: no poses")
                return None
            raise BadScene(f"{path} is missing: fetch it (asset lowres_wide.traj), or leave the video out")
        poses, remarks = read_trajectory(path)
        self.remarks += remarks
        return poses

    def _sky(self, poses: TimedPoses | None, metadata_sky: str | None) -> str:
        wanted = self.options.sky
        if wanted in SKY_TURNS:
            return wanted
        measured = sky_of_poses(poses) if poses is not None and wanted == "poses" else None
        if measured and metadata_sky and measured != metadata_sky:
            self.remarks.append(
                f"metadata.csv has the sky {metadata_sky}, the poses {measured}: the poses are followed"
            )
        sky = measured or metadata_sky
        if sky is None:
            raise BadScene(f"{self.video_id}: neither poses nor metadata.csv tell where the sky is: say it (sky=...)")
        return sky

    def _lens(self) -> Intrinsics:
        number = self._lenses.nearest(self._times, _PINCAM_WITHIN)
        known = number[number >= 0]
        if not len(known):
            raise BadScene(f"{self._lenses.folder} has no .pincam for any frame: fetch {self._lenses.folder.name}")
        chosen = np.unique(known[np.linspace(0, len(known) - 1, _LENSES_READ).round().astype(int)])
        lenses = [read_pincam(self._lenses.paths[n]) for n in chosen]
        sizes = {(lens.width, lens.height) for lens in lenses}
        stored = self._images.size()
        if sizes != {stored}:
            raise BadScene(f"{self._lenses.folder} is of {sizes} images, {self._images.folder.name} is {stored}")
        vectors = np.array([lens.vector for lens in lenses])
        spread = float(np.ptp(vectors[:, 0]) / np.median(vectors[:, 0]))
        if spread > _LENS_SPREAD:
            self.remarks.append(f"the focal length varies by {spread:.1%}: the median is used")
        fx, fy, cx, cy = np.median(vectors, axis=0).tolist()
        self._stored = Intrinsics(fx, fy, cx, cy, *stored)
        return turn_intrinsics(self._stored, self._turns)

    def _posed(self, poses: TimedPoses) -> Float64[np.ndarray, "T 4 4"]:
        stored = poses.at(self._times, self.options.exact, self.options.max_gap)
        missing = int((~is_posed(stored)).sum())
        if missing == len(stored):
            raise BadScene(f"{self.folder / 'lowres_wide.traj'} has no pose at the time of any frame: fetch it again")
        if missing:
            self.remarks.append(f"{missing} of {len(stored)} frames have no pose")
        return turn_poses(stored, self._turns)


def _rate(times: Float64[np.ndarray, " T"]) -> float:
    """Frames a second, lost ones left out of the count; names are rounded to milliseconds, so a mean is needed."""
    steps = np.diff(times)
    usual = steps[steps < 1.9 * np.median(steps)]
    return float(len(usual) / usual.sum())
