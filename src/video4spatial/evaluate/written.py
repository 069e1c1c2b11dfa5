"""A benchmark written out as files, for systems that are not ours, and read back.

DIR/benchmark.json
DIR/contexts/<context>/context.mp4         the walk-through, lossless; the manifest names each case's context
DIR/contexts/<context>/transforms.json     its poses and lens (nerfstudio): for measuring, not for models
DIR/scenes/<scene_id>/cloud.ply            ground-truth points, metres, in the frame of the poses
DIR/cases/<case_id>/first_frame.png
DIR/cases/<case_id>/instruction.txt        grounding: the paper's sentence
DIR/cases/<case_id>/transforms_path.json   navigation: the asked path (grounding: the true one), every frame
DIR/cases/<case_id>/path.csv               navigation: the same as waypoints, relative to the first frame
DIR/cases/<case_id>/truth.mp4              the true clip, box tail included, lossless; none for absent objects
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.manifest import Benchmark, Contents
from video4spatial.geometry.formats import load_path, save_path
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import Box, CameraPath, Clip, InputError, Intrinsics
from video4spatial.storage.artifacts import atomic_path
from video4spatial.storage.ply import read_vertices, write_vertices
from video4spatial.storage.sheet import write_image
from video4spatial.storage.video import read_image, read_video, write_video


@dataclass(frozen=True)
class WrittenLayout:
    """Names inside the folder."""

    root: Path

    def scene(self, scene_id: str, name: str) -> Path:
        return self.root / "scenes" / scene_id / name

    def context(self, context_id: str, name: str) -> Path:
        return self.root / "contexts" / context_id / name

    def case(self, case_id: str, name: str) -> Path:
        return self.root / "cases" / case_id / name


def write_benchmark(
    benchmark: Benchmark, contents: Contents, root: Path, on_case: Callable[[Case], None] = lambda case: None
) -> None:
    """Write everything, the manifest last. The kind of rooms stays (labels are in the seeds), others become "files".

    ``on_case`` is called after each case.
    """
    layout = WrittenLayout(root)
    cases: list[Case] = []
    written: set[Path] = set()
    for content in contents.of(benchmark.cases):
        case = content.case
        _write_shared(layout, content, written)
        told: dict[str, object] = {"context": content.context_id}
        write_image(layout.case(case.case_id, "first_frame.png"), content.first_frame)
        if case.sentence:
            with atomic_path(layout.case(case.case_id, "instruction.txt")) as temporary:
                temporary.write_text(case.sentence + "\n", encoding="utf-8")
        if content.truth is not None:
            write_video(layout.case(case.case_id, "truth.mp4"), content.truth, lossless=True)
        if content.truth_path is not None:
            save_path(layout.case(case.case_id, "transforms_path.json"), content.truth_path)
        if content.path is not None:
            own = CameraPath(relative_to(content.path.c2w, 0), content.path.intrinsics)
            save_path(layout.case(case.case_id, "path.csv"), own)
        if content.box is not None:
            told["box"] = [content.box.x0, content.box.y0, content.box.x1, content.box.y1]
        cases.append(replace(case, facts={**case.facts, **told}))
        on_case(case)
    if benchmark.kind != "rooms":
        benchmark = replace(benchmark, kind="files", cases=tuple(cases))
    benchmark.save(root)


def _write_shared(layout: WrittenLayout, content: CaseContent, written: set[Path]) -> None:
    """What several cases have, once."""
    context, scene = content.context_id, content.case.scene_id
    if (video := layout.context(context, "context.mp4")) not in written:
        write_video(video, content.context, lossless=True)
        save_path(layout.context(context, "transforms.json"), CameraPath(content.context_c2w, content.intrinsics))
    if (cloud := layout.scene(scene, "cloud.ply")) not in written:
        write_vertices(cloud, content.cloud)
    written |= {video, cloud}


class WrittenScene:
    """What a scene's folder holds, and the last context that one of its cases has looked at."""

    def __init__(self, layout: WrittenLayout, scene_id: str) -> None:
        self.layout, self.scene_id = layout, scene_id
        self._context: tuple[str, Clip, CameraPath] | None = None

    def context(self, context_id: str) -> tuple[Clip, CameraPath]:
        if self._context is None or self._context[0] != context_id:
            clip = read_video(self.layout.context(context_id, "context.mp4"))
            path = load_path(self.layout.context(context_id, "transforms.json"))
            self._context = (context_id, clip, path)
        return self._context[1:]

    @cached_property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        return read_vertices(self.layout.scene(self.scene_id, "cloud.ply"))


class WrittenContent(CaseContent):
    """A case read from files; what is missing is an ``InputError`` that names the file."""

    def __init__(self, case: Case, fps: float, scene: WrittenScene) -> None:
        super().__init__(case, fps)
        self.scene = scene

    def _file(self, name: str) -> Path:
        return self.scene.layout.case(self.case.case_id, name)

    @property
    def context_id(self) -> str:
        return str(self.case.facts.get("context", self.case.scene_id))

    @cached_property
    def context(self) -> Clip:
        return self.scene.context(self.context_id)[0]

    @property
    def context_c2w(self) -> Float[np.ndarray, "T 4 4"]:
        return self.scene.context(self.context_id)[1].c2w

    @property
    def intrinsics(self) -> Intrinsics:
        return self.scene.context(self.context_id)[1].intrinsics

    @property
    def cloud(self) -> Float[np.ndarray, "N 3"]:
        return self.scene.cloud

    @cached_property
    def first_frame(self) -> UInt8[np.ndarray, "H W 3"]:
        return read_image(self._file("first_frame.png"))

    @cached_property
    def truth(self) -> Clip | None:
        if self.case.task == "absent":
            return None
        clip = read_video(self._file("truth.mp4"))
        if len(clip) != self.case.frames:
            raise InputError(f"{self._file('truth.mp4')} has {len(clip)} frames, the manifest says {self.case.frames}")
        return clip

    @cached_property
    def truth_path(self) -> CameraPath | None:
        if self.case.task == "absent":
            return None
        return load_path(self._file("transforms_path.json"))

    @property
    def box(self) -> Box | None:
        box = self.case.facts.get("box")
        return Box(*box) if box else None


class WrittenContents(Contents):
    """Reads a benchmark's folder."""

    def __init__(self, benchmark: Benchmark) -> None:
        super().__init__(benchmark)
        root = benchmark.settings.get("files") or benchmark.root
        if root is None:
            raise InputError(f"benchmark {benchmark.name} was not read from a folder: its files are nowhere")
        self.layout = WrittenLayout(Path(root))

    def open_scene(self, scene_id: str) -> WrittenScene:
        return WrittenScene(self.layout, scene_id)

    def content(self, case: Case, scene: WrittenScene) -> WrittenContent:
        return WrittenContent(case, self.benchmark.fps, scene)
