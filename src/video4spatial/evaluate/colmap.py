"""Structure from motion (COLMAP through pycolmap): the reconstructor that needs no weights, for videos of real size.

Sparse: a frame's points are those of the model it sees. A frame that is not registered has no pose and no points. Not
for frames under about 320x208: SIFT finds too little there.
"""

import tempfile
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed, Reconstruction
from video4spatial.schema import InputError

_LEAST_WIDTH = 320
_LEAST_ANCHORS = 3


class ColmapReconstructor:
    """Incremental structure from motion of frames and anchors together, with the anchors' known lens.

    Args:
        threads: CPU threads.
        max_features: SIFT features an image.
        seed: of RANSAC; results still vary a little with the number of threads.
    """

    name = "COLMAP (pycolmap, sparse)"

    def __init__(self, threads: int = 2, max_features: int = 2048, seed: int = 0) -> None:
        self.threads, self.max_features, self.seed = threads, max_features, seed

    def __call__(self, frames: UInt8[np.ndarray, "T H W 3"], anchors: Anchors) -> Reconstruction | NotReconstructed:
        try:
            import pycolmap
        except ImportError as error:
            raise InputError("pycolmap is not installed: pip install 'video4spatial[eval]'") from error
        lens = anchors.intrinsics
        if frames.shape[1:] != anchors.frames.shape[1:]:
            raise InputError("the frames and the anchors differ in size: bring them to one first")
        if lens.width < _LEAST_WIDTH:
            raise InputError(f"frames {lens.width} pixels wide are too small for SIFT: give at least {_LEAST_WIDTH}")
        images = {f"anchor{k:04d}.png": image for k, image in enumerate(anchors.frames)}
        images |= {f"frame{k:05d}.png": image for k, image in enumerate(frames)}
        pycolmap.logging.minloglevel = int(pycolmap.logging.ERROR)
        pycolmap.set_random_seed(self.seed)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "images").mkdir()
            (root / "models").mkdir()
            for name, image in images.items():
                Image.fromarray(image).save(root / "images" / name)
            models = self._models(pycolmap, root, lens)
        if not models:
            return NotReconstructed("COLMAP found no initial pair: too little texture, or too little motion")
        model = max(models.values(), key=lambda one: one.num_reg_images())
        points, poses = _read(model)
        anchor_c2w = np.stack(
            [poses.get(f"anchor{k:04d}.png", np.full((4, 4), np.nan)) for k in range(len(anchors.c2w))]
        )
        if np.isfinite(anchor_c2w).all(axis=(1, 2)).sum() < _LEAST_ANCHORS:
            return NotReconstructed(f"COLMAP registered fewer than {_LEAST_ANCHORS} anchors with the video")
        c2w = np.stack([poses.get(f"frame{k:05d}.png", np.full((4, 4), np.nan)) for k in range(len(frames))])
        none = np.empty((0, 3))
        return Reconstruction(
            points=[points.get(f"frame{k:05d}.png", none) for k in range(len(frames))],
            c2w=c2w,
            found=np.asarray(np.isfinite(c2w).all(axis=(1, 2))),
            anchor_points=[points.get(f"anchor{k:04d}.png", none) for k in range(len(anchor_c2w))],
            anchor_c2w=anchor_c2w,
            intrinsics=lens,
            details={"registered_images": model.num_reg_images(), "points": model.num_points3D()},
        )

    def _models(self, pycolmap, root: Path, lens) -> dict:
        database = root / "database.db"
        extraction = pycolmap.FeatureExtractionOptions(num_threads=self.threads, use_gpu=False)
        extraction.sift.max_num_features = self.max_features
        pycolmap.extract_features(
            database,
            root / "images",
            camera_mode=pycolmap.CameraMode.SINGLE,
            reader_options=pycolmap.ImageReaderOptions(
                camera_model="PINHOLE", camera_params=",".join(str(float(value)) for value in lens.vector)
            ),
            extraction_options=extraction,
        )
        matching = pycolmap.FeatureMatchingOptions(num_threads=self.threads, use_gpu=False)
        pycolmap.match_exhaustive(database, matching_options=matching)
        options = pycolmap.IncrementalPipelineOptions(num_threads=self.threads, min_model_size=_LEAST_ANCHORS)
        options.ba_refine_focal_length = False
        options.ba_refine_extra_params = False
        return pycolmap.incremental_mapping(database, root / "images", root / "models", options)


def _read(model) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Points ``[N, 3]`` and the pose of every registered image, by its name."""
    points, poses = {}, {}
    for image in model.images.values():
        if not image.has_pose:
            continue
        w2c = np.eye(4)
        w2c[:3] = image.cam_from_world().matrix()
        poses[image.name] = np.linalg.inv(w2c)
        seen = [model.points3D[point.point3D_id].xyz for point in image.points2D if point.has_point3D()]
        points[image.name] = np.array(seen, np.float64).reshape(-1, 3)
    return points, poses
