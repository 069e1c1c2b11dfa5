"""COLMAP for real, on a textured room at the smallest size it is meant for."""

import numpy as np
import pytest

from video4spatial.data.rooms import RoomsConfig
from video4spatial.evaluate.colmap import ColmapReconstructor
from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed
from video4spatial.evaluate.spatial import SceneCloud, SpatialOutcome, spatial_distance
from video4spatial.rooms import tour
from video4spatial.schema import InputError, Intrinsics

CONFIG = RoomsConfig(width=320, height=208, difficulty=1.0, quality=0.5, rays=4)


@pytest.mark.slow
def test_a_textured_room_is_reconstructed():
    room = CONFIG.room(1_000_003)
    c2w = tour(room, 161, seed=3)[:96:4]
    frames = room.render(c2w, CONFIG.intrinsics).rgb
    anchors = Anchors(frames[::2], c2w[::2], CONFIG.intrinsics)
    made = ColmapReconstructor(threads=1, max_features=1024)(frames[1::2], anchors)
    result = spatial_distance(made, anchors, SceneCloud(room.point_cloud(200_000).points))
    assert result.outcome is SpatialOutcome.SCORED
    assert result.lost < 0.5
    assert result.distance < 0.15
    assert result.anchor_metres < 0.15


def test_black_frames_are_a_typed_failure():
    black = np.zeros((3, 208, 320, 3), np.uint8)
    anchors = Anchors(black, np.tile(np.eye(4), (3, 1, 1)), CONFIG.intrinsics)
    made = ColmapReconstructor(threads=1)(black, anchors)
    assert isinstance(made, NotReconstructed)
    assert "no initial pair" in made.reason


def test_sizes_are_checked():
    small = Intrinsics.from_horizontal_fov(72, 96, 64)
    anchors = Anchors(np.zeros((3, 64, 96, 3), np.uint8), np.tile(np.eye(4), (3, 1, 1)), small)
    with pytest.raises(InputError, match="too small for SIFT"):
        ColmapReconstructor()(anchors.frames, anchors)
    with pytest.raises(InputError, match="differ in size"):
        ColmapReconstructor()(np.zeros((3, 32, 96, 3), np.uint8), anchors)
