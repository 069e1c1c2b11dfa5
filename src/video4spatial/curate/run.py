"""Curating a store: each stored video is labelled, then its clips are encoded. Killed at any moment, run again, it goes
on; the store in the end is the one of a run that was not."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Protocol, runtime_checkable

from video4spatial.curate.absent import absent_examples
from video4spatial.curate.clips import write_clips
from video4spatial.curate.labels import SceneLabels
from video4spatial.curate.looking import StoredLook
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.records import all_labels, read_labels, write_labels
from video4spatial.curate.report import Report, Skipped
from video4spatial.curate.settings import CurationSettings, keep_settings
from video4spatial.data.scene import BadScene, Scene
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, atomic_path, write_json
from video4spatial.storage.latent_index import StoredVideo
from video4spatial.storage.scene_shards import SceneShards
from video4spatial.vlm.question import VLMUnavailable

Labeller = Callable[[StoredLook], SceneLabels]


@runtime_checkable
class Watch(Protocol):
    """Is told how far a run is."""

    def __call__(self, done: int, total: int, clips: int) -> None: ...


@dataclass(frozen=True)
class Curation:
    """One run over a store.

    Attributes:
        label: labels a stored video as it is looked at: a VLM, an oracle, an imported file.
        codec: the VAE of the store's origin.
        absent: absent-object examples for each environment; 0: none.
        unplaced: what could not be imported, in words, for the report.
        strict: stop at the first video that must be skipped.
    """

    store: PreparedStore
    settings: CurationSettings
    label: Labeller
    codec: LatentCodec
    absent: int = 5
    strict: bool = False
    unplaced: tuple[str, ...] = ()

    def run(self, watch: Watch | None = None) -> Report:
        """Label and encode what is missing, then write absent.jsonl and the report.

        Raises:
            VLMUnavailable: no answer can be had; what was answered and made is kept.
            InputError: the store was curated with other settings; ``strict``, and a video must be skipped.
        """
        layout = self.store.layout
        keep_settings(layout.curation, self.settings)
        shards = SceneShards(layout.clips)
        _sweep(layout, {row.video_id for row in self.store.rows})
        skipped, clips = list[Skipped](), 0
        for done, outcome in enumerate(self._all(shards), 1):
            if isinstance(outcome, Skipped):
                if self.strict:
                    raise InputError(f"{outcome.video_id}: {outcome.reason}")
                skipped.append(outcome)
            else:
                clips += outcome
            if watch is not None:
                watch(done, len(self.store.rows), clips)
        layout.clips.mkdir(parents=True, exist_ok=True)
        shards.reindex()
        labels = all_labels(layout, (row.video_id for row in self.store.rows), self.settings.fingerprint)
        if self.absent:
            write_absent(layout.absent, list(labels.values()), self.absent)
        report = Report.of(self.store, labels, skipped, self.unplaced)
        write_json(layout.curation_report, report.record())
        return report

    def _all(self, shards: SceneShards) -> Iterator[int | Skipped]:
        """The number of clips of each stored video; a unit of the source is opened once, and only if it must be."""
        for unit, group in groupby(self.store.rows, lambda row: row.meta["source"]):
            rows = list(group)
            missing = [row for row in rows if not self._is_done(shards, row) and not self._too_short(row)]
            scene: Scene | Skipped | None = None
            if missing:
                try:
                    scene = self.store.source.open(unit)
                except BadScene as error:
                    scene = Skipped(unit, str(error))
            for row in rows:
                yield self._one(shards, row, scene)

    def _one(self, shards: SceneShards, row: StoredVideo, scene: Scene | Skipped | None) -> int | Skipped:
        layout = self.store.layout
        if self._too_short(row):
            few, needed = row.frames, self.settings.clip_frames
            return Skipped(row.video_id, f"it has {few} stored frames, a clip needs {needed}: ask for shorter clips")
        if self._is_done(shards, row):
            return len(read_labels(layout.label(row.video_id), self.settings.fingerprint).clips)
        if isinstance(scene, Skipped):
            return Skipped(row.video_id, scene.reason)
        assert scene is not None
        try:
            look = StoredLook(scene, row, self.settings.look_size)
            labels = self._labels(look)
            return write_clips(shards, row, look.as_stored(), labels, self.codec, self.settings)
        except BadScene as error:
            return Skipped(row.video_id, str(error))

    def _labels(self, look: StoredLook) -> SceneLabels:
        layout = self.store.layout
        path = layout.label(look.video_id)
        if path.exists():
            return read_labels(path, self.settings.fingerprint)
        try:
            labels = replace(self.label(look), framing=look.framing)
        except VLMUnavailable as error:
            labelled = sum(layout.label(row.video_id).exists() for row in self.store.rows)
            raise VLMUnavailable(
                f"{error}. {labelled} of {len(self.store.rows)} videos are labelled and every answer is kept in "
                f"{layout.answers}: the same command asks only what is missing"
            ) from None
        write_labels(layout, labels, self.settings.fingerprint)
        return labels

    def _is_done(self, shards: SceneShards, row: StoredVideo) -> bool:
        return shards.has(row.video_id) and self.store.layout.label(row.video_id).exists()

    def _too_short(self, row: StoredVideo) -> bool:
        return row.frames < self.settings.clip_frames


def _sweep(layout: StoreLayout, videos: set[str]) -> None:
    """Remove what killed writers left half written, and what is of a video that is in the store no more (prepare found
    its scene bad later): training would refuse its clips. Nobody else writes the store now."""
    SceneShards(layout.root).sweep()
    SceneShards(layout.clips).sweep()
    left = list(layout.labels.glob(".tmp-*"))
    made = [*StoreLayout(layout.clips).shards.glob("[!.]*.safetensors"), *layout.labels.glob("[!.]*.json")]
    for path in [*left, *(path for path in made if path.stem not in videos)]:
        path.unlink(missing_ok=True)


def write_absent(path: Path, labels: Sequence[SceneLabels], per_environment: int) -> int:
    """Write absent-object examples, one JSON object a line; how many."""
    examples = absent_examples(labels, per_environment)
    with atomic_path(path) as temporary:
        temporary.write_text("".join(json.dumps(asdict(example)) + "\n" for example in examples), encoding="utf-8")
    return len(examples)


def discard(layout: StoreLayout) -> None:
    """Forget labels, clips and settings, for another run with others; answers and text embeddings are kept.

    Clips go before labels, and the settings last: what a kill leaves is of the old settings still.
    """
    for folder in (layout.clips, layout.labels):
        if folder.is_dir():
            shutil.rmtree(folder)
    for file in (layout.absent, layout.curation_report, layout.curation):
        file.unlink(missing_ok=True)
