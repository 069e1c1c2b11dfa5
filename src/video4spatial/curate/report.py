"""What curation came to: every frame and every video counted once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from video4spatial.curate.absent import kind
from video4spatial.curate.answers import Outcome
from video4spatial.curate.labels import Funnel, SceneLabels
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.select import Drop
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json

_LEFT_OUT_SHOWN = 20


@dataclass(frozen=True)
class Skipped:
    """A stored video that was left out, and why."""

    video_id: str
    reason: str


@dataclass(frozen=True)
class Report:
    """The counts of a store. ``categories``: clips by the kind of their target; ``unplaced``: what rows of an imported
    file belong to no stored video, in words; ``waiting``: videos without labels that no run skipped."""

    videos: int
    labelled: int
    environments: int
    funnel: Funnel
    categories: Counter[str]
    skipped: tuple[Skipped, ...]
    unplaced: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        store: PreparedStore,
        labels: Mapping[str, SceneLabels],
        skipped: Sequence[Skipped] = (),
        unplaced: Sequence[str] = (),
    ) -> "Report":
        """Of the videos that have ``labels``."""
        funnel = Funnel()
        categories: Counter[str] = Counter()
        for found in labels.values():
            funnel += found.funnel
            categories.update(kind(clip.target.label) or clip.target.label for clip in found.clips)
        environments = len({found.environment_id for found in labels.values()})
        return cls(len(store.rows), len(labels), environments, funnel, categories, tuple(skipped), tuple(unplaced))

    @property
    def waiting(self) -> int:
        return self.videos - self.labelled - len(self.skipped)

    def ranked(self) -> list[tuple[str, int]]:
        """Categories, the most frequent first."""
        return sorted(self.categories.items(), key=lambda entry: (-entry[1], entry[0]))

    def record(self) -> dict:
        """As JSON: the same labels, the same bytes."""
        return {
            "videos": {"stored": self.videos, "labelled": self.labelled, "skipped": len(self.skipped)},
            "environments": self.environments,
            "frames": self.funnel.frames,
            **self.funnel.record(),
            "clips": self.funnel.kept,
            "categories": dict(self.ranked()),
            "skipped": [asdict(one) for one in self.skipped],
            "unplaced": list(self.unplaced),
        }

    def steps(self) -> list[tuple[str, int, int]]:
        """The funnel in order: ``(what, how many, depth)``; what is indented is a part of the line above it."""
        objects, drops, described = self.funnel.objects, self.funnel.drops, self.funnel.descriptions
        rows = [("frames looked at", self.funnel.frames, 0)]
        rows += [(f"answer: {name}", objects[name], 1) for name in Outcome if objects[name] and name != Outcome.FOUND]
        rows.append(("objects found", objects[Outcome.FOUND], 0))
        rows += [(str(name), drops[name], 1) for name in Drop if drops[name]]
        rows.append(("clips to describe", described.total(), 0))
        rows += [(f"description: {n}", described[n], 1) for n in Outcome if described[n] and n != Outcome.FOUND]
        rows.append(("clips kept", self.funnel.kept, 0))
        return rows

    def text(self) -> str:
        """The funnel in words, for the terminal."""
        rows = self.steps()
        lines = [f"{self.labelled} of {self.videos} videos labelled, of {self.environments} environments"]
        lines += [f"{'  ' * depth + what:<28}{count:>10,}" for what, count, depth in rows]
        shown = ", ".join(f"{name} {count}" for name, count in self.ranked()[:8])
        if shown:
            more = len(self.categories) - 8
            lines.append(f"{len(self.categories)} categories: {shown}" + (f" and {more} more" if more > 0 else ""))
        left_out = [f"skipped {one.video_id}: {one.reason}" for one in self.skipped]
        left_out += [f"not imported: {line}" for line in self.unplaced]
        lines += left_out[:_LEFT_OUT_SHOWN]
        if len(left_out) > _LEFT_OUT_SHOWN:
            lines.append(f"and {len(left_out) - _LEFT_OUT_SHOWN} more: curation-report.json names them all")
        return "\n".join(lines)


def skipped_before(path: Path, labels: Mapping[str, SceneLabels]) -> tuple[list[Skipped], list[str]]:
    """What the last whole run skipped and could not place, by its report in ``path``; videos labelled since not."""
    if not path.exists():
        return [], []
    content: Any = read_json(path)
    try:
        skipped = [Skipped(str(one["video_id"]), str(one["reason"])) for one in content["skipped"]]
        return [one for one in skipped if one.video_id not in labels], [str(line) for line in content["unplaced"]]
    except (KeyError, TypeError):
        raise InputError(f"{path} is no report of curation: remove it; the next run writes it again") from None
