"""ARKitScenes (Apple): iPad videos with LiDAR depth, posed against laser scans; several videos of each place."""

from video4spatial.data.arkitscenes.catalogue import FOLDS, ARKitScenes, ARKitVideo
from video4spatial.data.arkitscenes.scene import WITHOUT_TRAJECTORY, ARKitOptions, ARKitScene

__all__ = ["FOLDS", "WITHOUT_TRAJECTORY", "ARKitOptions", "ARKitScene", "ARKitScenes", "ARKitVideo"]
