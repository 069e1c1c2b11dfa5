"""The DSLR photographs of a ScanNet++ scene as a Scene: sharp pinhole views of the same environment, not a video.

Read are the undistorted images, ``dslr/resized_undistorted_images`` with ``nerfstudio/transforms_undistorted.json``,
which the toolkit's ``dslr/undistort.py`` writes and newer downloads carry. The raw ones are fisheye and are refused.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float64, UInt8

from video4spatial.data.scannetpp.files import SceneFiles, naming_scene, require_file
from video4spatial.data.scannetpp.objects import read_objects
from video4spatial.data.scannetpp.poses import from_transforms_world
from video4spatial.data.scene import SceneObject
from video4spatial.geometry.formats import nerfstudio
from video4spatial.schema import InputError, Intrinsics
from video4spatial.storage.artifacts import read_json
from video4spatial.storage.video import read_image

_UNDISTORT = "run the toolkit's python -m dslr.undistort, or fetch dslr/resized_undistorted_images"


class ScanNetPPPhotos:
    """The training photographs (``frames``, not ``test_frames``) of a scene, in the file's order.

    They are posed in the frame of the iPhone's poses, and share its ``environment_id``. They have no clock:
    ``timestamps`` count them, one a second, and neighbours need not show the same. Photographs marked bad, or not on
    disk, are left out.

    Attributes:
        names: their file names.
        remarks: what was left out, in words, for reports.

    Raises:
        BadScene: only fisheye images are there, or a file is missing or cannot be used.
    """

    def __init__(self, folder: Path, objects: bool = True) -> None:
        self.files = SceneFiles(folder)
        self.environment_id = f"scannetpp-{self.files.scene_id}"
        self.video_id = f"{self.environment_id}-dslr"
        self.fps = 1.0
        self.remarks: list[str] = []
        self._objects = objects
        with naming_scene(self.files.scene_id):
            self.names, self.c2w, self.intrinsics = self._read()
        self.timestamps: Float64[np.ndarray, " T"] = np.arange(len(self.names), dtype=np.float64)

    c2w: Float[np.ndarray, "T 4 4"] | None
    intrinsics: Intrinsics | None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def objects(self) -> list[SceneObject]:
        """The annotated objects of the scan; raises ``BadScene`` if its files cannot be read."""
        if not self._objects or not self.files.annotation.is_file():
            return []
        with naming_scene(self.files.scene_id):
            return read_objects(self.files)

    def frames(self, indices: Sequence[int]) -> UInt8[np.ndarray, "T H W 3"]:
        """The photographs of these indices."""
        assert self.intrinsics is not None
        width, height = self.intrinsics.width, self.intrinsics.height
        images = np.empty((len(indices), height, width, 3), np.uint8)
        with naming_scene(self.files.scene_id):
            for row, index in enumerate(indices):
                path = self.files.undistorted_images / self.names[index]
                image = read_image(path)
                if image.shape != images.shape[1:]:
                    found = f"{image.shape[1]}x{image.shape[0]}, not {width}x{height} as its lens"
                    raise InputError(f"{path} is {found}: fetch it again")
                images[row] = image
        return images

    def depth(self, indices: Sequence[int]) -> Float[np.ndarray, "T H W"] | None:
        """None: the camera measured none."""
        return None

    def _read(self) -> tuple[list[str], Float64[np.ndarray, "T 4 4"], Intrinsics]:
        path = self.files.undistorted_transforms
        if not path.is_file() and self.files.fisheye_transforms.is_file():
            raise InputError(f"{self.files.dslr} holds fisheye images only, which are not read: {_UNDISTORT}")
        content = read_json(require_file(path))
        model = content.get("camera_model", "PINHOLE") if isinstance(content, dict) else "PINHOLE"
        if "FISHEYE" in str(model).upper():
            raise InputError(f"{path} is of {model} images, which are not read: {_UNDISTORT}")
        if not self.files.undistorted_images.is_dir():
            raise InputError(f"{self.files.undistorted_images} is missing: {_UNDISTORT}")
        names, camera = nerfstudio.names(path), nerfstudio.read(path)
        bad = [bool(frame.get("is_bad")) for frame in content["frames"]] if isinstance(content, dict) else []
        here = [bool(name) and (self.files.undistorted_images / name).is_file() for name in names]
        kept = [index for index, there in enumerate(here) if there and not bad[index]]
        if sum(bad):
            self.remarks.append(f"{sum(bad)} photographs are marked bad: left out")
        absent = [name for name, there, spoilt in zip(names, here, bad, strict=True) if not there and not spoilt]
        if absent:
            self.remarks.append(
                f"{len(absent)} of {len(names)} photographs are not on disk ({absent[0]}, ...): left out"
            )
        if not kept:
            raise InputError(f"{self.files.undistorted_images} holds none of the images of {path.name}: fetch them")
        return [names[index] for index in kept], from_transforms_world(camera.c2w[kept]), camera.intrinsics
