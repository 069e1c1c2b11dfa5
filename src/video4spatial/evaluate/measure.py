"""From a method's video of one case to the case's row in the table."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from video4spatial.evaluate.benchmark import GroundingCase, NavigationCase
from video4spatial.evaluate.fidelity import psnr, ssim
from video4spatial.evaluate.marked import Judge, box_colour
from video4spatial.evaluate.table import CaseResult, GroundingResult
from video4spatial.geometry.boxes import centre_rule, read_box_tail
from video4spatial.schema import Found

_CENTRAL = 0.6  # SPEC, Instruction Following


def measure_navigation(method: str, case: NavigationCase, frames: UInt8[np.ndarray, "T H W 3"]) -> CaseResult:
    """Fidelity to the true frames. Raises ``InputError`` if ``frames`` has another shape than the truth."""
    return CaseResult(method, case.case_id, psnr(frames, case.truth.frames), ssim(frames, case.truth.frames))


class GroundingMeasure:
    """Measures what methods did in one case; the room's views are rendered when the first box needs them."""

    def __init__(self, case: GroundingCase) -> None:
        self.case = case
        self._judge: Judge | None = None

    def __call__(self, method: str, frames: UInt8[np.ndarray, "T H W 3"], found: Found | None) -> GroundingResult:
        """``found`` is the box read back from the tail of ``frames``, None if there was none."""
        case = self.case
        result = GroundingResult(method, case.case_id, found is not None, found.confidence if found else 0.0)
        if found is None:
            return result
        self._judge = self._judge or Judge(case)
        held = frames[-case.tail_frames - 1]
        marking = self._judge(held, found.box)
        made = case.room.object(marking.object_id) if marking.object_id else None
        colour = case.room.object(case.object_id).colour
        return replace(
            result,
            outcome=marking.outcome,
            colour_agrees=box_colour(held, found.box) == colour if colour else None,
            centred=centre_rule(found.box, held.shape[1], held.shape[0], _CENTRAL),
            marked=f"{made.colour} {made.category}".strip() if made else "",
            likeness=marking.likeness,
        )


def read_answer(frames: UInt8[np.ndarray, "T H W 3"], case: GroundingCase) -> Found | None:
    """The red box of a clip's tail, as the pipeline reads it."""
    read = read_box_tail(frames, case.tail_frames)
    return Found(read[0], len(frames) - 1, case.target, read[1]) if read else None
