"""Absent-object examples: instructions whose target is not in the scene, to count false finds with. Never trained on.

That an object is absent rests on what the VLM listed in the scene and on what the dataset annotates, so the rule is
careful: the target's kind (the head noun of its label) may not occur as a word in any label of any video of the
environment. What no video shows and nobody annotated can still be there.
"""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from video4spatial.curate.labels import SceneLabels
from video4spatial.data.rooms import article
from video4spatial.schema import DEFAULT_SCENE, InputError, grounding_sentence

_LINKS = re.compile(r"\b(with|without|on|in|of|beside|near|under|above|behind|by|for|at|next|that|which)\b")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class AbsentExample:
    """An instruction for ``environment_id`` whose target is not there: the right answer is "not found".

    ``label`` is a target of the environment ``taken_from``.
    """

    environment_id: str
    label: str
    sentence: str
    taken_from: str
    present: Literal[False] = False


def absent_examples(scenes: Iterable[SceneLabels], per_environment: int, seed: int = 0) -> list[AbsentExample]:
    """``per_environment`` absent targets of different kinds for each environment, fewer where the others have no more
    to offer. The same scenes, in any order, and the same seed give the same list."""
    if per_environment < 1:
        raise InputError(f"per_environment is {per_environment}: give at least 1")
    ordered = sorted(scenes, key=lambda scene: (scene.environment_id, scene.video_id))
    words: dict[str, set[str]] = {}
    described: dict[str, str] = {}
    targets: dict[tuple[str, str], None] = {}
    for scene in ordered:
        words.setdefault(scene.environment_id, set()).update(*map(_words, scene.labels))
        for clip in scene.clips:
            described.setdefault(scene.environment_id, clip.scene)
            targets.setdefault((clip.target.label, scene.environment_id))
    examples = []
    for environment, here in words.items():
        if not here:  # nothing was listed, so nothing is known to be absent
            continue
        offers = [(label, other) for label, other in targets if other != environment and kind(label) not in here]
        random.Random(f"{seed} {environment}").shuffle(offers)
        one_of_a_kind = {kind(label): (label, other) for label, other in reversed(offers) if kind(label)}
        for label, other in islice(reversed(one_of_a_kind.values()), per_environment):
            sentence = grounding_sentence(article(label), described.get(environment, DEFAULT_SCENE))
            examples.append(AbsentExample(environment, label, sentence, other))
    return examples


def kind(label: str) -> str:
    """The head noun of a label, in the singular: "chair" for "grey chairs with arms"; empty where there is none."""
    found = _WORD.findall(_LINKS.split(label.casefold())[0])
    return _singular(found[-1]) if found else ""


def _words(label: str) -> set[str]:
    return {_singular(word) for word in _WORD.findall(label.casefold())}


def _singular(word: str) -> str:
    """Rough, but the same on both sides of the comparison."""
    for ending, stem in (("shelves", "shelf"), ("xes", "x"), ("ies", "y"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending):
            return word[: -len(ending)] + stem
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
