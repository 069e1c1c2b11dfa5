"""Your own videos: any file FFmpeg reads, or a folder of images, as a Scene; posed if a camera path lies beside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8

from video4spatial.data.scene import BadScene, SceneObject
from video4spatial.geometry.formats import detect_format, load_names, load_path
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import CameraPath, InputError, Intrinsics
from video4spatial.storage.seek import ImageFolder, open_seekable
from video4spatial.storage.video import IMAGE_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v", ".webm", ".avi")
_SIDECARS = (".poses.tum", ".poses.txt", ".poses.csv", ".poses.json", ".poses.yaml", ".poses")
_UNEVEN = 0.5  # of the usual step: a frame so much early or late makes the rate a variable one
_ASPECT = 0.01


class VideoScene:
    """A video file or folder of images, read lazily, upright; no depth and no objects.

    Time runs evenly: a file of variable frame rate is shown at its usual rate, 1 over the median step, each moment by
    the frame nearest to it, so that motion keeps its speed (``remarks`` says so). ``fps`` asks for a lower rate in the
    same way; for a folder, which has no clock, it is the rate at which the images were taken (16 by default).

    Args:
        path: the file or folder.
        poses: a camera path of any format ``geometry.formats`` reads, one pose for each frame of the file (before any
            are left out for ``fps``), of the frames as they are shown. For a folder of images, COLMAP and nerfstudio
            poses go to the images they name, and images without one get none (NaN). Several videos of one environment
            must be posed in one frame of reference, in metres.
        intrinsics: the lens, if ``poses`` carries none; of frames of this video's size or aspect.
        fps: frames a second.
        environment_id: the place; videos of one place share it. The video's own name by default.

    Raises:
        BadScene: the file or folder cannot be read or is empty; the poses are not as many as the frames, or their lens
            is of another shape; names the file and the remedy.
    """

    def __init__(
        self,
        path: str | Path,
        poses: str | Path | None = None,
        intrinsics: Intrinsics | None = None,
        fps: float | None = None,
        environment_id: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.video_id = self.path.name if self.path.is_dir() else self.path.stem
        self.environment_id = environment_id or self.video_id
        self.remarks: list[str] = []
        if fps is not None and not (np.isfinite(fps) and fps > 0):
            raise InputError(f"fps is {fps}: give a number above 0")
        with _as_bad_scene():
            self._source = open_seekable(self.path, fps)
        self.size = self._source.size
        self.fps, self._shown = self._even(None if self.path.is_dir() else fps)
        self.timestamps: Float64[np.ndarray, " T"] = np.arange(len(self._shown)) / self.fps
        self.intrinsics: Intrinsics | None = None if intrinsics is None else self._fitted(intrinsics, "intrinsics")
        self.c2w: Float[np.ndarray, "T 4 4"] | None = None
        if poses is not None:
            path_of_camera = self._posed(Path(poses))
            self.c2w, self.intrinsics = path_of_camera.c2w[self._shown], path_of_camera.intrinsics

    @property
    def objects(self) -> list[SceneObject]:
        """None: nobody annotated the video."""
        return []

    def __len__(self) -> int:
        return len(self._shown)

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """RGB frames of these indices; a file is sought into, not decoded from its start."""
        with _as_bad_scene():
            return self._source.read(self._shown[list(indices)])

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"] | None:
        """None: a plain video has no depth."""
        return None

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._source.close()

    def _even(self, fps: float | None) -> tuple[float, Int[np.ndarray, " T"]]:
        """The rate, and the source's frame to show at each of its steps."""
        times = self._source.timestamps
        everything = np.arange(len(times))
        if len(times) < 2:
            return fps or 1.0, everything
        steps = np.diff(times)
        usual = float(np.median(steps))
        uneven = bool((np.abs(steps - usual) > _UNEVEN * usual).any())
        rate = 1 / usual if uneven else (len(times) - 1) / float(times[-1])
        if fps is not None and fps > rate * 1.01:
            raise InputError(f"fps is {fps:g}, but {self.path} has {rate:.4g} frames a second: ask for at most that")
        if fps is None and not uneven:
            return rate, everything
        if uneven:
            self.remarks.append(
                f"variable frame rate (steps of {steps.min() * 1e3:.0f} to {steps.max() * 1e3:.0f} ms): "
                f"shown evenly at {fps or rate:.4g} a second"
            )
        rate = fps or rate
        moments = np.arange(int(np.floor(float(times[-1]) * rate + 1e-6)) + 1) / rate
        after = np.clip(np.searchsorted(times, moments), 1, len(times) - 1)
        return rate, after - (moments - times[after - 1] <= times[after] - moments)

    def _posed(self, poses: Path) -> CameraPath:
        with _as_bad_scene():
            lens = self.intrinsics
            if lens is None and detect_format(poses) == "realestate10k":
                lens = Intrinsics.from_horizontal_fov(60, *self.size)  # only its size is used: the file has the lens
            found = load_path(poses, lens)
            names = load_names(poses) if isinstance(self._source, ImageFolder) else None
        lens = self._fitted(found.intrinsics, str(poses))
        if isinstance(self._source, ImageFolder) and names is not None:
            return CameraPath(self._named(poses, names, found.c2w, self._source.files), lens)
        count = len(self._source)
        if len(found) != count:
            raise BadScene(f"{poses} has {len(found)} poses, but {self.path} has {count} frames: give one a frame")
        return CameraPath(found.c2w, lens)

    def _named(
        self, poses: Path, names: list[str], c2w: Float64[np.ndarray, "N 4 4"], files: list[Path]
    ) -> Float64[np.ndarray, "T 4 4"]:
        """The poses at the images they name, by name without folder and suffix."""
        at = {file.stem: number for number, file in enumerate(files)}
        placed = np.full((len(files), 4, 4), np.nan)
        for name, pose in zip(names, c2w, strict=True):
            number = at.get(PurePosixPath(name).stem)
            if number is None:
                raise BadScene(f"{poses} has a pose of {name}, which is not in {self.path}: are they of one video?")
            placed[number] = pose
        missing = int((~is_posed(placed)).sum())
        if missing:
            self.remarks.append(f"{missing} of {len(files)} images have no pose")
        return placed

    def _fitted(self, intrinsics: Intrinsics, name: str) -> Intrinsics:
        """The lens at the frames' size, if it is of their shape."""
        width, height = self.size
        if abs(intrinsics.width / intrinsics.height - width / height) > _ASPECT * width / height:
            shape = f"{intrinsics.width}x{intrinsics.height}"
            raise BadScene(f"{name} is of {shape} images, {self.path} shows {width}x{height} ones: pose upright frames")
        return intrinsics.resized(width, height)


@dataclass(frozen=True)
class FoundVideo:
    """A video of a folder: its place, and the camera path beside it, if there is one."""

    path: Path
    environment_id: str
    poses: Path | None

    def open(self, intrinsics: Intrinsics | None = None, fps: float | None = None) -> VideoScene:
        """The scene; see ``VideoScene``."""
        return VideoScene(self.path, self.poses, intrinsics, fps, self.environment_id)


def find_videos(root: str | Path) -> list[FoundVideo]:
    """The videos in a folder, in order of their names.

    A file is a video and so is a folder of images, each a place of its own; a folder that holds videos is one place,
    seen by all of them. ``kitchen.poses.tum`` (.txt, .csv, .json, .yaml) or the COLMAP folder ``kitchen.poses`` is the
    camera path of ``kitchen.mp4``. Raises ``InputError`` if there are none, or two have one name.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give one that holds videos or folders of images")
    found = []
    for entry in _visible(root):
        if _is_video(entry):
            found.append(FoundVideo(entry, _name(entry), _sidecar(entry)))
        elif entry.is_dir() and entry.suffix != ".poses":
            found += [FoundVideo(inner, entry.name, _sidecar(inner)) for inner in _visible(entry) if _is_video(inner)]
    if not found:
        raise InputError(f"{root} holds no videos ({', '.join(VIDEO_SUFFIXES)}) and no folders of images")
    names: dict[str, Path] = {}
    for video in found:
        other = names.setdefault(_name(video.path), video.path)
        if other != video.path:
            raise InputError(f"{other} and {video.path} have one name: rename one, names tell videos apart")
    return found


def _name(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_video(path: Path) -> bool:
    if path.is_dir():
        return any(inner.suffix.lower() in IMAGE_SUFFIXES for inner in _visible(path))
    return path.suffix.lower() in VIDEO_SUFFIXES


def _sidecar(path: Path) -> Path | None:
    beside = [path.with_name(_name(path) + suffix) for suffix in _SIDECARS]
    there = [candidate for candidate in beside if candidate.exists()]
    if len(there) > 1:
        raise InputError(f"{path} has {len(there)} camera paths, {there[0].name} and {there[1].name}: keep one")
    return there[0] if there else None


@contextmanager
def _as_bad_scene() -> Iterator[None]:
    """What storage and formats cannot read is a bad scene: others may be read on."""
    try:
        yield
    except InputError as error:
        raise error if isinstance(error, BadScene) else BadScene(str(error)) from None
