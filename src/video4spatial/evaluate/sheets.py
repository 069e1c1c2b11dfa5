"""Contact sheets of an evaluation: the first cases of each task, what was given and what each method made of it."""

import numpy as np

from video4spatial.evaluate.cases import TASKS
from video4spatial.evaluate.generated import GeneratedFolder, VideoOutcome
from video4spatial.evaluate.manifest import Benchmark, Contents
from video4spatial.storage.sheet import contact_sheet, evenly, write_image

SHOWN = 4  # cases a task
FRAMES = 8


def write_sheets(folder: GeneratedFolder, benchmark: Benchmark, contents: Contents, methods: list[str]) -> None:
    """Write ``sheet_<task>.png`` for each task: a row for the context, the truth and each method that has a video."""
    few = benchmark.select(SHOWN)
    rows: dict[str, dict[str, np.ndarray]] = {task: {} for task in TASKS}
    for number, content in enumerate(contents.of(few.cases)):
        case = content.case
        title = f"{number + 1}. {case.target or case.case_id}"
        shown = {"context": content.context.frames}
        if content.truth is not None:
            shown["truth"] = content.truth.frames
        for method in methods:
            video = folder.read(method, case, (few.width, few.height), few.fps)
            if video.outcome is VideoOutcome.OK:
                shown[method] = video.frames
        for name, frames in shown.items():
            rows[case.task][f"{title}: {name}"] = frames[evenly(len(frames), FRAMES)]
    for task, of_task in rows.items():
        if of_task:
            write_image(folder.root / f"sheet_{task}.png", contact_sheet(of_task, FRAMES))
