"""The judge of rooms: the shipped detector and the paper's tolerance. It knows rooms' words, not the room."""

from collections.abc import Iterable, Iterator

from video4spatial.evaluate.detector import RoomsDetector, read_phrase
from video4spatial.evaluate.judge import TOLERANCE, Answer, JudgedClip, Verdict
from video4spatial.evaluate.worthless import nothing_to_see


class RoomsJudge:
    """Answers at once, and always; a phrase in other words than rooms' raises ``InputError``.

    In a frame in which there is nothing to see (``worthless``: plain, noise, tiny) nothing is found.
    """

    def __init__(self, detector: RoomsDetector | None = None, tolerance: float = TOLERANCE) -> None:
        self.detector = detector or RoomsDetector.load()
        self.tolerance = tolerance

    @property
    def identity(self) -> str:
        """The detector, by the content of its weights, and its threshold."""
        return (
            f"rooms detector {self.detector.fingerprint} least={self.detector.config.least} tolerance={self.tolerance}"
        )

    def verdicts(self, clips: Iterable[JudgedClip]) -> Iterator[Verdict]:
        """One verdict a clip. Raises ``InputError`` for a phrase in words that rooms do not have."""
        for clip in clips:
            frame, phrase = clip.frame, read_phrase(clip.target)
            if nothing := nothing_to_see(frame):
                yield Verdict(Answer.ANSWERED, reason=nothing)
                continue
            (best,) = self.detector.best(frame[None], [phrase])
            box = best.box if best.score >= self.detector.config.least else None
            height, width = frame.shape[:2]
            yield Verdict.answered(box, width, height, f"score {best.score:.3f}", self.tolerance)
