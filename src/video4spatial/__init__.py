"""Video4Spatial: context-guided video generation for spatial tasks (arXiv 2512.03040), openly implemented.

The public names are imported on first use, so that ``import video4spatial`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "Box": "schema",
    "CameraPath": "schema",
    "Clip": "schema",
    "Found": "schema",
    "InputError": "schema",
    "Instruction": "schema",
    "Intrinsics": "schema",
    "Video4SpatialPipeline": "sample.pipeline",
    "Video4SpatialTransformer3DModel": "model.transformer",
}
__all__ = [
    "Box",
    "CameraPath",
    "Clip",
    "Found",
    "InputError",
    "Instruction",
    "Intrinsics",
    "Video4SpatialPipeline",
    "Video4SpatialTransformer3DModel",
    "__version__",
]

if TYPE_CHECKING:
    from video4spatial.model.transformer import Video4SpatialTransformer3DModel
    from video4spatial.sample.pipeline import Video4SpatialPipeline
    from video4spatial.schema import Box, CameraPath, Clip, Found, InputError, Instruction, Intrinsics


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'video4spatial' has no attribute {name!r}")
    value = getattr(import_module(f"video4spatial.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
