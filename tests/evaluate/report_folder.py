"""A benchmark of files made by hand, videos of a few frames, and scores that are told beside each video."""

import json

import numpy as np

from video4spatial.commands.evaluate import evaluate_folder
from video4spatial.evaluate.cases import Case
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.metric import Column, Score
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.evaluate.written import WrittenLayout
from video4spatial.geometry.formats import save_path
from video4spatial.schema import CameraPath, Clip, Intrinsics
from video4spatial.storage.video import write_video

WIDTH, HEIGHT, FRAMES, TAIL = 48, 32, 9, 4
HOSTILE = '<script>alert("x")</script> | `*_& </table> [a](http://evil) \n# head'
GROUNDING, NAVIGATION = 10, 3


class Told:
    """Scores as the JSON beside a video tells them."""

    name, version, tasks = "told", 1, ("grounding", "navigation")
    columns = (
        Column("sd", "SD", "lower"),
        Column("found", "found", rate=True, without_video=False, digits=2, tasks=("grounding",)),
    )
    settings = {"scorer": "a guess (stand-in)"}  # noqa: RUF012

    def __call__(self, content, video):
        told = video.said.get("sd")
        if told is None:
            return NotComputed("nothing was told")
        return Score({"sd": told, "found": video.said.get("found")})


class Box:
    """The box that a video tells, in the place where the box metric notes it."""

    name, version, tasks, columns, settings = "box", 1, ("grounding",), (), {}

    def __call__(self, content, video):
        return Score({}, {"read": [8.0, 6.0, 30.0, 24.0] if video.said.get("found") else "no box"})


def frames_of(seed: int) -> np.ndarray:
    ramp = np.linspace(0, 255, WIDTH, dtype=np.uint8)
    one = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3))
    return np.stack([np.roll(one, 2 * step + 5 * seed, axis=1) for step in range(FRAMES)]).copy()


def case(number: int, task: str, target: str = "the red box") -> Case:
    tail = TAIL if task == "grounding" else 0
    words = {"target": target, "category": "box", "scene": "a room"} if task == "grounding" else {}
    return Case(f"{task}-{number}", task, "scene", FRAMES, tail, number, facts={"context": "walk"}, **words)


def write_folder(root, methods, hostile=False):
    """``methods``: by name, from a case's number to what its JSON says, None for no video."""
    cases = [case(n, "grounding", HOSTILE if hostile and n == 0 else "the red box") for n in range(GROUNDING)]
    cases += [case(n, "navigation") for n in range(NAVIGATION)]
    files = root.with_name(f"{root.name}-benchmark")
    Benchmark("hand", "files", WIDTH, HEIGHT, 8.0, {"files": str(files)}, tuple(cases)).save(root)
    layout = WrittenLayout(files)
    lens = Intrinsics(40.0, 40.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)
    c2w = np.tile(np.eye(4), (FRAMES, 1, 1))
    c2w[:, 2, 3] = np.linspace(0, 2, FRAMES)  # two metres ahead
    path = CameraPath(c2w, lens)
    write_video(layout.context("walk", "context.mp4"), Clip(frames_of(0), 8.0), lossless=True)
    save_path(layout.context("walk", "transforms.json"), path)
    truth = Clip(frames_of(3), 8.0)
    for one in cases:
        write_video(layout.case(one.case_id, "truth.mp4"), truth, lossless=True)
        save_path(layout.case(one.case_id, "transforms_path.json"), path)
    folder = GeneratedFolder(root)
    for method, told in methods.items():
        folder.method(method).mkdir(parents=True)
        if hostile:
            folder.method(method).joinpath("method.json").write_text(json.dumps({"title": HOSTILE, "notes": HOSTILE}))
        for number, one in enumerate(cases):
            said = told(number)
            if said is not None:
                write_video(folder.video(method, one.case_id), Clip(frames_of(number), 8.0))
                folder.said(method, one.case_id).write_text(json.dumps(said))
    evaluate_folder(folder, [Told(), Box()], command="by hand", progress=False)
    return folder


def full(number):
    return {"sd": round(0.1 + 0.01 * number, 3), "found": number % 3 > 0}


METHODS = {
    "full": full,
    "worse": lambda n: {"sd": round(0.5 + 0.02 * n, 3), "found": n % 2 > 0},
    "alike": lambda n: {"sd": round(0.1 + 0.01 * n + (0.01 if n % 2 else -0.01), 3), "found": n % 3 > 0},
    "partly": lambda n: None if n % 2 else ({} if n == 2 else {"sd": 0.3, "found": True}),
    "empty": lambda n: None,
}

EXPERIMENT = {
    "format": 1,
    "name": "by-hand",
    "title": "By hand",
    "kind": "curve",
    "source": "Figure 0",
    "says": "It improves.",
    "columns": ["sd", "found"],
    "rows": [
        {"label": "Ours", "method": "full", "paper": {"sd": 0.11, "found": 0.73}, "not_run": None, "note": ""},
        {"label": "Worse", "method": "worse", "paper": {"sd": 0.4, "found": 0.9}, "not_run": None, "note": "a note"},
        {"label": "Alike", "method": "alike", "paper": {"sd": 0.2}, "not_run": None, "words": {"found": -1}},
        {"label": "Elsewhere", "method": None, "paper": {"sd": 0.3}, "not_run": "made elsewhere", "setting": "416x256"},
    ],
    "curves": [
        {
            "x": {"label": "context frames", "values": [1, 25, 49, 97]},
            "series": [
                {
                    "label": "sd",
                    "key": "sd",
                    "methods": ["worse", None, "alike", "full"],
                    "paper": [0.4, None, 0.2, 0.11],
                },
                {"label": "found", "key": "found", "methods": ["worse", "partly", "alike", "full"], "paper": None},
            ],
        }
    ],
    "command": "by hand",
    "commit": "abc",
    "machine": "a desk",
    "seeds": [0],
}
