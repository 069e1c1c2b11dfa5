import numpy as np
import pytest

from video4spatial.rooms.bvh import build_hierarchy, trace
from video4spatial.rooms.compiled import LIGHTMAP_HEIGHT, LIGHTMAP_START, LIGHTMAP_WIDTH, compile_scene
from video4spatial.rooms.finishes import Finishes
from video4spatial.rooms.layout.plan import Plan
from video4spatial.rooms.layout.shell import build_shell
from video4spatial.rooms.lighting import AreaLight, Sun, bake
from video4spatial.rooms.parts import Part, frame
from video4spatial.rooms.textures import KINDS, LEVEL_START, LEVELS, SIZE, SOFT, TextureAtlas, mip_chain, paint


@pytest.mark.parametrize("kind", KINDS)
def test_a_texture_is_an_image_and_its_mip_levels_keep_its_mean(kind: str):
    image = paint(kind, 1)
    assert image.shape == (SIZE, SIZE, 3)
    assert image.min() >= 0
    assert image.max() <= 1
    chain, mean = mip_chain(image)
    for level in range(LEVELS):
        end = LEVEL_START[level] + (SIZE >> level) ** 2
        linear = (chain[LEVEL_START[level] : end] / 255.0) ** 2
        assert np.abs(linear.mean(0) - mean).max() < 0.01


def test_soft_kinds_have_a_third_of_the_contrast():
    assert paint(SOFT + "tiles", 1).std() == pytest.approx(paint("tiles", 1).std() / 3, rel=1e-6)


def test_the_hierarchy_finds_what_a_search_of_all_triangles_finds():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 4, (300, 1, 3)) + rng.normal(0, 0.3, (300, 3, 3))
    vertices = corners.reshape(-1, 3).astype(np.float32)
    triangles = np.arange(900, dtype=np.int32).reshape(-1, 3)
    bvh = build_hierarchy(vertices, triangles, np.arange(300))
    assert sorted(bvh.source) == list(range(300))
    alone = [build_hierarchy(vertices, triangles, np.array([k])) for k in range(300)]
    hits = 0
    for _ in range(40):
        origin, direction = rng.uniform(0, 4, 3), rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        (x, y, z), (dx, dy, dz) = origin, direction
        hit, distance, _, _ = trace(bvh, x, y, z, dx, dy, dz, 9.0, False)
        each = [trace(one, x, y, z, dx, dy, dz, 9.0, False) for one in alone]
        distances = [found[1] if found[0] >= 0 else np.inf for found in each]
        nearest = int(np.argmin(distances))
        if hit < 0:
            assert np.isinf(distances[nearest])
            continue
        hits += 1
        assert bvh.source[hit] == nearest
        assert distance == pytest.approx(distances[nearest], abs=1e-4)
    assert hits > 5


def test_a_room_without_furniture_has_an_empty_hierarchy():
    bvh = build_hierarchy(np.zeros((3, 3), np.float32), np.zeros((1, 3), np.int32), np.zeros(0, int))
    assert trace(bvh, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 5.0, True)[0] < 0


def test_less_light_reaches_the_floor_under_a_table():
    size = (4.0, 4.0, 2.5)
    rng = np.random.default_rng(0)
    atlas = TextureAtlas()
    plan = Plan(rng, Finishes(rng, atlas, 0.0), size, "living")
    build_shell(plan)
    table = Part()
    table.box(0, 0, 0.7, 1.2, 1.2, 0.04, plan.finish.plain((0.9, 0.9, 0.9)))
    plan.add(table, "dining table", frame(0, 1.2, 2.0))
    scene = compile_scene(plan.items, atlas, size, quality=0.5)
    lamp = AreaLight(
        np.array([2.0, 2.0, 2.4]), np.array([0.2, 0, 0]), np.array([0, 0.2, 0]), np.array([0, 0, -1.0]), np.ones(3), 6
    )
    bake(scene, [lamp], [], Sun(np.array([0, 0, 1.0]), np.zeros(3)), seed=0, rays=8)
    start, width, height = scene.patch_int[0, LIGHTMAP_START : LIGHTMAP_HEIGHT + 1]
    assert LIGHTMAP_WIDTH == LIGHTMAP_START + 1
    floor = scene.lightmap[start : start + width * height].reshape(width, height, 3).mean(-1)
    under = floor[int(1.2 / 4 * (width - 1)), height // 2]
    open_floor = floor[int(2.8 / 4 * (width - 1)), height // 2]  # as far from the lamp on the other side
    assert 0 < under < 0.4 * open_floor
