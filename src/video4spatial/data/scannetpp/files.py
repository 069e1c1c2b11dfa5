"""Names on disk of a ScanNet++ release. Source: scannetpp/scannetpp ``common/scene_release.py``."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from video4spatial.data.scene import BadScene
from video4spatial.schema import InputError

VIDEO_NAMES = ("rgb.mkv", "rgb.mp4")  # newer releases carry the second


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene: ``folder`` is ``data/<scene_id>``."""

    folder: Path

    @property
    def scene_id(self) -> str:
        return self.folder.name

    @property
    def iphone(self) -> Path:
        return self.folder / "iphone"

    @property
    def video(self) -> Path:
        """The iPhone's video under the name it has here; the first of ``VIDEO_NAMES`` if there is none."""
        paths = [self.iphone / name for name in VIDEO_NAMES]
        return next((path for path in paths if path.is_file()), paths[0])

    @property
    def depth(self) -> Path:
        return self.iphone / "depth.bin"

    @property
    def poses(self) -> Path:
        return self.iphone / "pose_intrinsic_imu.json"

    @property
    def colmap(self) -> Path:
        return self.iphone / "colmap"

    @property
    def transforms(self) -> Path:
        return self.iphone / "nerfstudio" / "transforms.json"

    @property
    def dslr(self) -> Path:
        return self.folder / "dslr"

    @property
    def undistorted_images(self) -> Path:
        return self.dslr / "resized_undistorted_images"

    @property
    def undistorted_transforms(self) -> Path:
        return self.dslr / "nerfstudio" / "transforms_undistorted.json"

    @property
    def fisheye_transforms(self) -> Path:
        return self.dslr / "nerfstudio" / "transforms.json"

    @property
    def mesh(self) -> Path:
        """The semantic mesh, or the plain one where only that is there: their vertices are the same."""
        semantic, plain = (self.folder / "scans" / f"mesh_aligned_0.05{name}.ply" for name in ("_semantic", ""))
        return plain if plain.is_file() and not semantic.is_file() else semantic

    @property
    def segments(self) -> Path:
        return self.folder / "scans" / "segments.json"

    @property
    def annotation(self) -> Path:
        return self.folder / "scans" / "segments_anno.json"


def require_file(path: Path) -> Path:
    """``path``, or ``InputError`` if it is missing or empty."""
    if not path.is_file():
        raise InputError(f"{path} is missing: fetch it, or leave the scene out")
    if not path.stat().st_size:
        raise InputError(f"{path} is empty (0 bytes): fetch it again, or leave the scene out")
    return path


@contextmanager
def naming_scene(scene_id: str) -> Iterator[None]:
    """Every ``InputError`` inside becomes a ``BadScene`` that names the scene first."""
    try:
        yield
    except BadScene:
        raise
    except InputError as error:
        raise BadScene(f"scene {scene_id}: {error}") from error
