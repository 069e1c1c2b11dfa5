"""An oracle for annotated datasets (ScanNet++, ARKitScenes): their 3D boxes and depth say what a frame shows.

Datasets name objects by category only. An object is listed where its category occurs once in the environment, so that
"the fridge" means one thing; what occurs twice has nothing here that tells it apart, and is left out. So are the parts
of the building, as in the prompt for VLMs.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from video4spatial.curate.oracle import FEWEST, Oracle
from video4spatial.data.scene import BadScene, Scene, SceneObject
from video4spatial.geometry.sightings import sightings
from video4spatial.geometry.timed import is_posed
from video4spatial.schema import DEFAULT_SCENE, Box

_MOST_HIDDEN = 0.5
_NAMED = 3  # objects in a scene's description
_BUILDING = {"wall", "floor", "ceiling", "skirting board", "baseboard"}
_NO_THINGS = {"", "object", "objects", "remove", "split", "unknown", "person", "reflection"}


class AnnotationOracle(Oracle):
    """Knows what the annotation of these scenes says: objects with 3D boxes, told apart by measured depth.

    Raises:
        BadScene: a scene has no annotated objects, no depth, or no poses; names it and what to fetch.
    """

    def __init__(self, scenes: Iterable[Scene]) -> None:
        scenes = list(scenes)
        known = hashlib.sha256()
        for scene in scenes:
            for target in scene.objects:
                known.update(f"{scene.video_id} {target.category} {target.corners.tolist()}\n".encode())
        super().__init__(
            {scene.video_id: AnnotatedTruth(scene) for scene in scenes},
            f"annotation oracle {known.hexdigest()[:16]}",
            "annotated scenes",
        )


class AnnotatedTruth:
    """What a scene's annotation says of its frames."""

    def __init__(self, scene: Scene) -> None:
        lacks = [
            name
            for name, there in (
                ("annotated objects", bool(scene.objects)),
                ("poses", scene.c2w is not None and scene.intrinsics is not None),
                ("depth", scene.depth([0]) is not None),
            )
            if not there
        ]
        if lacks:
            raise BadScene(
                f"{scene.video_id} has no {' and no '.join(lacks)}: the oracle answers from these; fetch them, or take "
                "a VLM"
            )
        self._scene = scene
        self._corners = np.array([known.corners for known in scene.objects], dtype=np.float64).reshape(-1, 8, 3)
        names = [_named(known) for known in scene.objects]
        left_out = _BUILDING | _NO_THINGS
        self._unique = {name for name, n in Counter(names).items() if n == 1 and name.casefold() not in left_out}
        self._names = names

    @property
    def description(self) -> str:
        """The room by its largest objects: "a room with a bed, a desk and a wardrobe"."""
        volumes = {n: _volume(c) for n, c in zip(self._names, self._corners, strict=True) if n in self._unique}
        largest = sorted(volumes, key=lambda name: (-volumes[name], name))[:_NAMED]
        if not largest:
            return DEFAULT_SCENE
        *others, last = [_indefinite(name) for name in largest]
        return f"{DEFAULT_SCENE} with {', '.join(others)}{' and ' if others else ''}{last}"

    def seen(self, frame: int) -> Sequence[tuple[str, Box]]:
        """The objects of which enough can be seen, in the order of the annotation."""
        scene = self._scene
        depth = scene.depth([frame])
        assert depth is not None
        assert scene.c2w is not None
        assert scene.intrinsics is not None
        if not is_posed(scene.c2w[[frame]])[0]:
            return []
        fewest = FEWEST * depth[0].size
        seen = sightings(self._corners, depth[0], scene.c2w[frame], scene.intrinsics)
        width, height = scene.intrinsics.width, scene.intrinsics.height
        return [
            (name, Box(s.box.x0 / width, s.box.y0 / height, s.box.x1 / width, s.box.y1 / height))
            for name, s in zip(self._names, seen, strict=True)
            if s is not None and name in self._unique and s.pixels >= fewest and s.hidden <= _MOST_HIDDEN
        ]


def _named(known: SceneObject) -> str:
    return f"{known.colour} {known.category}".strip().replace("_", " ")


def _indefinite(name: str) -> str:
    if name.endswith("s") and not name.endswith("ss"):
        return name
    return f"{'an' if name[:1].casefold() in 'aeiou' else 'a'} {name}"


def _volume(corners: np.ndarray) -> float:
    return float(np.linalg.norm(corners[[4, 2, 1]] - corners[:1], axis=-1).prod())
