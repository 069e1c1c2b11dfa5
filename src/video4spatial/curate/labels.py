"""What curation finds in a scene: what became of each frame, the clips that were kept, the counts."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from video4spatial.curate.answers import Detection, Outcome
from video4spatial.curate.framing import Framing
from video4spatial.curate.select import Drop
from video4spatial.schema import grounding_sentence


@dataclass(frozen=True)
class LabelledClip:
    """A target clip in words: ``frames`` of the source video end centred on ``target``; ``sentence`` is the paper's."""

    video_id: str
    environment_id: str
    frames: range
    target: Detection
    scene: str
    phrase: str

    @property
    def sentence(self) -> str:
        return grounding_sentence(self.phrase, self.scene)


@dataclass(frozen=True)
class Look:
    """What became of one frame that was looked at.

    Attributes:
        objects: how reading the list of its objects came out; the fields below are empty unless ``found``.
        listed: how many objects.
        target: the one that the clip ends centred on; where nothing is centred, the one nearest to the centre.
        drop: why it ends no clip; None if it ends one.
        description: how reading the clip's description came out; None if there was none to ask for.
        scene, phrase: the description, if found.
        reason: what was wrong with an answer, in words.
    """

    frame: int
    objects: Outcome
    listed: int = 0
    target: Detection | None = None
    drop: Drop | None = None
    description: Outcome | None = None
    scene: str = ""
    phrase: str = ""
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether it ends a clip that is in words."""
        return self.description is Outcome.FOUND

    @property
    def fate(self) -> str:
        """In a word or two, as funnels and audits call it."""
        if self.objects is not Outcome.FOUND:
            return f"answer: {self.objects}"
        if self.drop is not None:
            return str(self.drop)
        return "kept" if self.kept else f"description: {self.description}"


@dataclass
class Funnel:
    """What became of every sampled frame and of every clip: each is counted once, none is left out."""

    objects: Counter[Outcome] = field(default_factory=Counter)
    drops: Counter[Drop] = field(default_factory=Counter)
    descriptions: Counter[Outcome] = field(default_factory=Counter)

    @property
    def frames(self) -> int:
        return self.objects.total()

    @property
    def kept(self) -> int:
        return self.descriptions[Outcome.FOUND]

    def count(self, look: Look) -> None:
        self.objects[look.objects] += 1
        if look.drop is not None:
            self.drops[look.drop] += 1
        if look.description is not None:
            self.descriptions[look.description] += 1

    def record(self) -> dict[str, dict[str, int]]:
        """As JSON: each kind of count by name, in the order of the names."""
        counts = {"objects": self.objects, "drops": self.drops, "descriptions": self.descriptions}
        return {kind: {str(name): found[name] for name in sorted(found)} for kind, found in counts.items()}

    def __add__(self, other: "Funnel") -> "Funnel":
        return Funnel(self.objects + other.objects, self.drops + other.drops, self.descriptions + other.descriptions)


@dataclass(frozen=True)
class SceneLabels:
    """What curation found in a scene.

    Attributes:
        clip_frames, every: a clip is so many frames, one in so many of the scene's.
        size: ``(width, height)`` of the frames that boxes refer to.
        looks: each frame that was looked at, in order.
        framing: how those frames were cut from the source's; None: they are the source's.
        labels: all that the VLM listed in it, whether a clip ends there or not, and every object that the dataset's own
            annotation names.
    """

    video_id: str
    environment_id: str
    clip_frames: int
    every: int
    size: tuple[int, int]
    looks: tuple[Look, ...]
    labels: frozenset[str]
    framing: Framing | None = None

    @cached_property
    def clips(self) -> tuple[LabelledClip, ...]:
        return tuple(self.clip(look) for look in self.looks if look.kept)

    def clip(self, look: Look) -> LabelledClip:
        """The clip that ends with a kept ``look``."""
        if look.target is None or not look.kept:
            raise ValueError(f"frame {look.frame} of {self.video_id} ends no clip: {look.fate}")
        frames = range(look.frame - (self.clip_frames - 1) * self.every, look.frame + 1, self.every)
        return LabelledClip(self.video_id, self.environment_id, frames, look.target, look.scene, look.phrase)

    @cached_property
    def funnel(self) -> Funnel:
        funnel = Funnel()
        for look in self.looks:
            funnel.count(look)
        return funnel
