"""Best, median and worst case of a task by one column: what was asked, what came out, and the truth beside it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from video4spatial.evaluate.benchmarks import NAMED, open_benchmark, open_contents
from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.generated import VideoOutcome
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.report.blocks import Block, Card, Cards, Clipped, Heading, Text
from video4spatial.evaluate.report.figures import value_text
from video4spatial.evaluate.report.folder import Measured, OfTask, Shown
from video4spatial.evaluate.report.media import Media
from video4spatial.evaluate.run import Row
from video4spatial.evaluate.table import FULL
from video4spatial.geometry.poses import relative_to
from video4spatial.schema import Box, InputError

TRUTH = "ground-truth"


class Ranked(NamedTuple):
    """A place in the order ("best", "median", "worst"; "highest", ... where no way is better) and who has it."""

    place: str
    row: Row
    value: float | bool


@dataclass
class Examples:
    """Cards of one folder. What the benchmark offers (truth, paths) is looked up for the shown cases only."""

    measured: Measured
    media: Media

    def __post_init__(self) -> None:
        self.remark = ""
        self.benchmark: Benchmark | None = None
        try:
            self.benchmark = benchmark_of(self.measured)
        except InputError as error:
            self.remark = str(error)

    def of(self, task: OfTask, metric: str | None, method: str | None) -> list[Block]:
        """The blocks of a task; a sentence where there is nothing to show."""
        method = method or (FULL if FULL in task.methods else next(iter(task.methods), ""))
        column = chosen_column(self.measured, task, method, metric)
        title = Heading(f"{task.task.capitalize()}: examples")
        if column is None:
            return [title, Text(f"No case of {method or 'any method'} has a value to choose by.", soft=True)]
        chosen = ranked(self.measured.rows, task.task, method, column)
        contents = self._contents([entry.row.case_id for entry in chosen])
        cards = [self._card(entry, column, contents.get(entry.row.case_id)) for entry in chosen]
        count = sum(row.method == method and row.task == task.task for row in self.measured.rows)
        valued = sum(1 for _ in _valued(self.measured.rows, task.task, method, column.key))
        words = f"Of {method}, by {column.title}: {valued} of its {count} videos have a value."
        return [title, Text(words, soft=True), Cards(cards)]

    def _contents(self, case_ids: Sequence[str]) -> dict[str, CaseContent]:
        if self.benchmark is None:
            return {}
        wanted = [case for case in self.benchmark.cases if case.case_id in case_ids]
        try:
            return {content.case.case_id: content for content in open_contents(self.benchmark).of(wanted)}
        except InputError as error:
            self.remark = str(error)
            return {}

    def _card(self, entry: Ranked, column: Shown, content: CaseContent | None) -> Card:
        row, case = entry.row, None if content is None else content.case
        asked = case.sentence if case is not None else ""
        clips: list[Clipped] = []
        missing = [] if content is not None else [f"no truth to show: {self.remark or 'the case is not known'}"]
        if case is not None:
            clips += self._method_clip(row, case, missing)
        if content is not None:
            try:
                asked = asked or _path_words(content)
                clips += self._truth_clip(content, missing)
            except InputError as error:
                missing.append(f"no truth to show: {error}")
        scores = [
            f"{self.measured.shown(key).title}: {value_text(value, self.measured.shown(key))}"
            for key, value in row.values.items()
            if value is not None
        ]
        repeat = f", repeat {row.repeat}" if row.repeat else ""
        title = f"{entry.place}: {column.title} {value_text(entry.value, column)}"
        return Card(title, f"{row.case_id}{repeat}", asked, clips, scores, missing)

    def _method_clip(self, row: Row, case: Case, missing: list[str]) -> list[Clipped]:
        about = self.benchmark
        assert about is not None
        video = self.measured.folder.read(row.method, case, (about.width, about.height), about.fps, row.repeat)
        if video.outcome is not VideoOutcome.OK:
            missing.append(f"no video of {row.method} to show: {video.reason or video.outcome.value}")
            return []
        box = _box(row)
        told = "" if case.task == "navigation" else ", box as read back" if box else ", no box could be read"
        alt = f"{row.method}, {case.case_id}, {len(video.frames)} frames"
        return [self.media.clip(video.frames, video.fps, f"{row.method}{told}", alt, box)]

    def _truth_clip(self, content: CaseContent, missing: list[str]) -> list[Clipped]:
        case, about = content.case, self.benchmark
        assert about is not None
        if case.task == "absent":
            missing.append("there is no truth: the object is not in the scene, and no box is the right answer")
            return []
        truth = None if content.truth is None else content.truth.frames
        if TRUTH in self.measured.methods:
            video = self.measured.folder.read(TRUTH, case, (about.width, about.height), about.fps)
            truth = video.frames if video.outcome is VideoOutcome.OK else truth
        if truth is None:
            missing.append("the case has no true clip")
            return []
        return [self.media.clip(truth, about.fps, "truth", f"the true clip of {case.case_id}")]


def benchmark_of(measured: Measured) -> Benchmark:
    """The benchmark that the folder answers: its manifest, or that of its name."""
    if measured.folder.benchmark.exists():
        return open_benchmark(measured.folder.root)
    name = str(measured.benchmark.get("name"))
    if name not in NAMED:
        raise InputError(f"{measured.folder.root} has no {measured.folder.benchmark.name}")
    size = measured.benchmark.get("width"), measured.benchmark.get("height")
    return open_benchmark(name, (int(str(size[0])), int(str(size[1]))))


def chosen_column(measured: Measured, task: OfTask, method: str, metric: str | None) -> Shown | None:
    """The column that cases are ranked by: the one asked for; else the first whose values differ, numbers before rates,
    those with a better way before others. None where no case has a value."""
    keys = [key for of in task.groups.values() for key in of]
    if metric is not None:
        keys = [key for key in keys if key == metric]
    values = {key: [value for _, value in _valued(measured.rows, task.task, method, key)] for key in keys}
    columns = [measured.shown(key) for key in keys if values[key]]

    def order(column: Shown) -> tuple[bool, bool, bool]:
        return len(set(values[column.key])) < 2, column.better is None, column.rate

    return min(columns, key=order, default=None)


def ranked(rows: Sequence[Row], task: str, method: str, column: Shown) -> list[Ranked]:
    """Best, median and worst row of a method; fewer where there are fewer. Equal values in the order of case and
    repeat; of an even number the better one of the middle is the median."""
    sign = 1 if column.better == "lower" else -1
    found = sorted(
        _valued(rows, task, method, column.key), key=lambda pair: (sign * pair[1], pair[0].case_id, pair[0].repeat)
    )
    names = ("best", "median", "worst") if column.better else ("highest", "median", "lowest")
    places = {0: names[0], len(found) - 1: names[2], (len(found) - 1) // 2: names[1]} if len(found) > 2 else {}
    places = places or {place: names[2 * place] for place in range(len(found))}
    return [Ranked(places[place], *found[place]) for place in sorted(places)]


def _valued(rows: Sequence[Row], task: str, method: str, key: str) -> Iterator[tuple[Row, float | bool]]:
    """Rows of usable videos that have a value, with it."""
    for row in rows:
        value = row.values.get(key)
        if row.method == method and row.task == task and row.outcome is VideoOutcome.OK and value is not None:
            yield row, value


def _box(row: Row) -> Box | None:
    """The box that was read back when the video was measured."""
    read = row.notes.get("box", {}).get("read")
    if not isinstance(read, list) or len(read) != 4:
        return None
    return Box(*(float(corner) for corner in read))


def _path_words(content: CaseContent) -> str:
    return "" if content.path is None else path_words(content.path.c2w)


def path_words(c2w: Float[np.ndarray, "T 4 4"]) -> str:
    """A camera path in words: its length, where it ends as seen from the first frame (x right, y down, z forward)."""
    length = float(np.linalg.norm(np.diff(c2w[:, :3, 3], axis=0), axis=1).sum())
    end = relative_to(c2w, 0)[-1]
    right, forward = float(end[0, 3]), float(end[2, 3])
    turned = math.degrees(math.atan2(end[0, 2], end[2, 2]))
    ends = [
        f"{abs(amount):.{digits}f} {words[amount < 0]}"
        for amount, digits, words in (
            (forward, 1, ("m ahead", "m behind")),
            (right, 1, ("m to the right", "m to the left")),
            (turned, 0, ("degrees turned to the right", "degrees turned to the left")),
        )
        if round(abs(amount), digits)
    ]
    return f"A path of {length:.1f} m that ends " + (", ".join(ends) if ends else "where it began") + "."
