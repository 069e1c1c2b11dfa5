"""What is asked of a vision-language model, and what one must offer to be asked.

Back ends: ``server.ServerVLM`` (any OpenAI-compatible server), ``local.LocalVLM`` (transformers, in this process), and
what answers from the truth in a VLM's words (``curate.oracle``). All answer in text, read strictly by whoever asks.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from video4spatial.schema import InputError

Finish = Literal["stop", "length", "refused", "rejected"]


class VLMUnavailable(InputError):
    """No answer can be had from the VLM: it is down, too slow, or takes none of the questions. What was answered before
    is in the cache, so that running again goes on from there."""


@dataclass(frozen=True)
class AnswerSchema:
    """The JSON schema an answer must follow, and its name: which kind of call it belongs to."""

    name: str
    schema: dict


@dataclass(frozen=True)
class FrameSource:
    """Where a question's images come from: frame numbers of a video. Only the oracle looks at it."""

    video_id: str
    frames: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Question:
    """One call of a VLM: images in order, then the prompt; the answer is to follow ``answer``."""

    images: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    prompt: str
    answer: AnswerSchema
    source: FrameSource | None = None

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` in pixels of the last image, the one that boxes refer to."""
        height, width = self.images[-1].shape[:2]
        return width, height


@dataclass(frozen=True)
class RawAnswer:
    """A VLM's answer as it came.

    ``finish``: ``stop`` it said all it had to say; ``length`` it was cut off; ``refused`` it, or a filter before it,
    declined; ``rejected`` it was not asked at all, because the server does not take this question (``text``: why).
    """

    text: str
    finish: Finish = "stop"


@runtime_checkable
class VLM(Protocol):
    """A back end. ``identity`` names the model and every setting that changes its answers: it is part of the cache's
    key. ``concurrency`` is how many questions it takes at once; ``ask`` is called from that many threads."""

    @property
    def identity(self) -> str:
        """The model, with every setting that changes its answers."""
        ...

    @property
    def concurrency(self) -> int:
        """How many questions may be open at the same time."""
        ...

    def ask(self, question: Question) -> RawAnswer:
        """Raises ``VLMUnavailable`` where no answer can be had, after such retries as make sense."""
        ...
