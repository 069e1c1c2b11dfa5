"""``video4spatial curate``: label a store's videos, encode their grounding clips, embed the sentences."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from video4spatial.commands.labellers import Labelling, import_labelling, vlm_labelling
from video4spatial.curate.annotations import require_annotations_name, write_annotations
from video4spatial.curate.audit import write_audit
from video4spatial.curate.exchange import exported
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.records import all_labels
from video4spatial.curate.run import Curation, Watch, discard
from video4spatial.curate.settings import stored_settings
from video4spatial.model.frozen import frozen_folder, text_parts
from video4spatial.prepare.texts import precompute_text
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import require_writable
from video4spatial.storage.lock import locked_store

SKIPPED = 3  # exit code: done, but something was left out


def curate(options: argparse.Namespace) -> int:
    """Do to ``options.store`` what the options ask; the exit code: 0, or 3 where something was left out."""
    store = PreparedStore(options.store, options.root)
    if options.audit is not None or options.export is not None:
        if options.audit is not None:
            require_writable(options.audit)
            print(write_audit(store, options.audit, options.samples, options.seed))
        if options.export is not None:
            print(export(store, options.export))
        return 0
    with locked_store(store.layout):
        return label_and_encode(options, store)


def label_and_encode(options: argparse.Namespace, store: PreparedStore) -> int:
    """Curate the store, which nobody else writes."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    labelling = vlm_labelling(options, store, device) if options.source is None else import_labelling(options, store)
    codec = store.codec(options.model)
    if store.origin.kind != "rooms":  # a bare VAE gets rooms' words: no good for these sentences, and known now
        frozen_folder(options.model or store.origin.vae)
    codec.vae.to(device)
    if options.redo:
        discard(store.layout)
    curation = Curation(
        store,
        labelling.settings,
        labelling.label,
        codec,
        options.absent if labelling.lists_everything else 0,
        options.strict,
        labelling.unplaced,
    )
    with watching(labelling) as watch:
        report = curation.run(watch)
    tokenizer, text_encoder = text_parts(options.model or store.origin.vae)
    precompute_text(store.layout.root, tokenizer, text_encoder.to(torch.device(device)), sys.stderr.isatty())
    print(report.text())
    left_out = len(report.skipped) + len(report.unplaced)
    if left_out:
        print(f"video4spatial curate: {left_out} left out, see above", file=sys.stderr)
    return SKIPPED if left_out else 0


def export(store: PreparedStore, path: str) -> str:
    """Write the store's clips as annotations without pixels; a line about it."""
    require_annotations_name(path)
    if not store.layout.curation.exists():
        raise InputError(f"{store.layout.root} is not curated yet: there is nothing to export")
    labels = all_labels(store.layout, (row.video_id for row in store.rows))
    vlm = str(stored_settings(store.layout.curation).get("vlm", ""))
    count = write_annotations(path, exported(store, labels, vlm))
    return f"{path}: {count} clips of {len(labels)} of {len(store.rows)} videos; no pixels"


@contextmanager
def watching(labelling: Labelling) -> Iterator[Watch]:
    """A bar on stderr: videos, clips, and how many questions were asked and how many remembered."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        _Questions(labelling),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("curating, videos", total=None, clips=0)

        def watch(done: int, total: int, clips: int) -> None:
            bar.update(task, completed=done, total=total, clips=clips)

        yield watch


class _Questions(ProgressColumn):
    """What has been asked so far, in the middle of a video too."""

    def __init__(self, labelling: Labelling) -> None:
        super().__init__()
        self._labelling = labelling

    def render(self, task: Task) -> Text:
        asked, remembered = self._labelling.asked, self._labelling.remembered
        return Text(f"{task.fields['clips']:,} clips; {asked:,} asked, {remembered:,} remembered")
