"""Chunks that share their anchors, and the adapters of VGGT and Depth Anything 3, with stand-ins of their signatures.

The stand-ins know the truth; they see each image's number in its pixels. The real weights were not run.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from video4spatial.evaluate.chunked import ChunkedReconstructor, Views
from video4spatial.evaluate.feed_forward import DepthAnythingViews, VGGTViews, depth_anything_3, vggt, vggt_images
from video4spatial.evaluate.reconstruct import Anchors, NotReconstructed
from video4spatial.evaluate.spatial import SceneCloud, SpatialOutcome, spatial_distance
from video4spatial.geometry.cameras import unproject_depth
from video4spatial.geometry.poses import invert, rotation_from_angles
from video4spatial.rooms import tour
from video4spatial.schema import InputError, Intrinsics

COUNT, ANCHORS = 25, 6
FRAMES = COUNT - ANCHORS


@pytest.fixture(scope="module")
def world(tiny_room):
    """25 posed views of a room, each image its own number; the first 6 are the anchors."""
    lens = Intrinsics.from_horizontal_fov(72, 48, 32)
    c2w = tour(tiny_room, COUNT * 6, seed=2)[::6]
    depth = tiny_room.render(c2w, lens).depth
    images = np.zeros((COUNT, 32, 48, 3), np.uint8)
    images[:] = np.arange(COUNT, dtype=np.uint8)[:, None, None, None]
    order = np.random.default_rng(0).permutation(COUNT)
    return SimpleNamespace(
        lens=lens,
        c2w=c2w[order],
        depth=depth[order],
        images=images,
        anchors=Anchors(images[:ANCHORS], c2w[order][:ANCHORS], lens),
        cloud=SceneCloud(tiny_room.point_cloud(60_000).points),
    )


class Network:
    """Answers with the true depth and cameras, each call in another frame of another scale."""

    def __init__(self, world, corrupt=()):
        self.world, self.calls, self.corrupt = world, [], corrupt

    def answer(self, numbers):
        number = len(self.calls)
        self.calls.append(list(numbers))
        rng = np.random.default_rng(number)
        scale = float(rng.uniform(0.3, 3))
        world = np.eye(4)
        world[:3, :3], world[:3, 3] = rotation_from_angles(*rng.normal(0, 1, 3)), rng.normal(0, 4, 3)
        c2w = world @ self.world.c2w[numbers]
        c2w[:, :3, 3] *= scale
        depth = self.world.depth[numbers] * scale
        if number in self.corrupt:
            depth = depth * rng.uniform(0.2, 5, (len(numbers), 1, 1))
        return depth, invert(c2w)[:, :3]

    def __call__(self, frames):
        numbers = frames[:, 0, 0, 0].astype(int)
        depth, w2c = self.answer(numbers)
        matrix = np.tile(self.world.lens.matrix, (len(numbers), 1, 1))
        return Views(depth, np.ones_like(depth), w2c, matrix)


def test_chunks_come_into_one_frame(world):
    network = Network(world)
    made = ChunkedReconstructor("network", network, chunk=11, shared=4)(world.images[ANCHORS:], world.anchors)
    assert [len(call) for call in network.calls] == [11, 11, 11]
    assert network.calls[0][:ANCHORS] == list(range(ANCHORS))
    assert all(call[:4] == [0, 2, 3, 5] for call in network.calls[1:])  # the shared ones, spread
    seen = [n for k, call in enumerate(network.calls) for n in call[ANCHORS if k == 0 else 4 :]]
    assert seen == list(range(ANCHORS, COUNT))  # every frame once, in order
    assert len(made.points) == len(made.c2w) == FRAMES
    result = spatial_distance(made, world.anchors, world.cloud)
    assert result.outcome is SpatialOutcome.SCORED
    exact = [unproject_depth(d, c, world.lens)[d > 0] for d, c in zip(world.depth, world.c2w, strict=True)]
    floor = max(world.cloud.distances(part.reshape(-1, 3)).mean() for part in exact[ANCHORS:])
    assert result.distance == pytest.approx(floor, abs=0.02)
    assert result.anchor_metres < 0.02
    whole = ChunkedReconstructor("network", Network(world), chunk=60, shared=4)(world.images[ANCHORS:], world.anchors)
    assert spatial_distance(whole, world.anchors, world.cloud).distance == pytest.approx(result.distance, abs=0.01)


def test_chunks_that_do_not_fit_are_a_typed_failure(world):
    network = Network(world, corrupt=(1,))
    made = ChunkedReconstructor("network", network, chunk=11, shared=4)(world.images[ANCHORS:], world.anchors)
    assert isinstance(made, NotReconstructed)
    assert "shared anchors" in made.reason


def test_settings_that_cannot_work(world):
    with pytest.raises(InputError, match="more images"):
        ChunkedReconstructor("network", Network(world), chunk=4, shared=4)
    with pytest.raises(InputError, match="6 anchors fill"):
        ChunkedReconstructor("network", Network(world), chunk=6, shared=4)(world.images[ANCHORS:], world.anchors)
    none = ChunkedReconstructor("network", Network(world), chunk=9, shared=4)(world.images[:0], world.anchors)
    assert isinstance(none, NotReconstructed)


def test_vggt_adapter(world):
    """A stand-in with VGGT's call: [1, S, 3, h, w] in, a dict out; its own pose encoding and decoder."""
    network = Network(world)

    def model(images):
        assert images.shape[2:] == (3, 350, 518)  # 48x32 at 518 wide, a multiple of 14
        assert images.min() >= 0
        assert images.max() <= 1
        numbers = (images[0, :, 0, 0, 0] * 255).round().int().numpy()
        depth, w2c = network.answer(numbers)
        depth = torch.nn.functional.interpolate(torch.from_numpy(depth)[:, None], size=(350, 518), mode="nearest")
        return {
            "pose_enc": torch.from_numpy(w2c).flatten(1)[None],
            "depth": depth[:, 0, ..., None][None],
            "depth_conf": torch.ones(1, len(numbers), 350, 518),
        }

    def decode_pose(encoded, size):
        lens = world.lens.resized(size[1], size[0])
        matrix = torch.from_numpy(lens.matrix).float().expand(1, encoded.shape[1], 3, 3)
        return encoded.reshape(1, -1, 3, 4), matrix

    views = VGGTViews(model, decode_pose, "cpu")
    made = ChunkedReconstructor("VGGT", views, chunk=16, shared=6)(world.images[ANCHORS:], world.anchors)
    result = spatial_distance(made, world.anchors, world.cloud)
    assert len(network.calls) == 2
    assert result.outcome is SpatialOutcome.SCORED
    assert result.distance < 0.08
    assert made.intrinsics.fx == pytest.approx(world.lens.fx, rel=0.02)


def test_vggt_reads_images_as_its_own_loader_does():
    assert vggt_images(np.full((1, 256, 416, 3), 255, np.uint8)).shape == (1, 3, 322, 518)
    with pytest.raises(InputError, match="crop"):
        vggt_images(np.zeros((1, 416, 256, 3), np.uint8))


def test_depth_anything_adapter(world):
    network = Network(world)

    class Model:
        def inference(self, image):
            assert isinstance(image, list)
            numbers = np.array([int(one[0, 0, 0]) for one in image])
            depth, w2c = network.answer(numbers)
            matrix = np.tile(world.lens.matrix, (len(numbers), 1, 1)).astype(np.float32)
            return SimpleNamespace(depth=depth, conf=None, extrinsics=w2c.astype(np.float32), intrinsics=matrix)

    made = ChunkedReconstructor("DA3", DepthAnythingViews(Model()), chunk=15, shared=5)(
        world.images[ANCHORS:], world.anchors
    )
    assert spatial_distance(made, world.anchors, world.cloud).distance < 0.06

    class Monocular:
        def inference(self, image):
            return SimpleNamespace(depth=np.ones((len(image), 4, 4)), conf=None, extrinsics=None, intrinsics=None)

    with pytest.raises(InputError, match="any-view"):
        DepthAnythingViews(Monocular())(world.images[:2])


@pytest.mark.parametrize(("load", "name"), [(vggt, "VGGT"), (depth_anything_3, "Depth Anything 3")])
def test_missing_packages_are_named(load, name, tmp_path):
    with pytest.raises(InputError, match=f"{name} is not installed: pip install"):
        load(tmp_path)
