"""Sentences through the frozen text encoder, beside the latents of the videos and clips that they are about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from video4spatial.model.instruction import encode_text
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.texts import TextWriter

SENTENCES_AT_ONCE = 16


def precompute_text(root: str | Path, tokenizer: Any, text_encoder: Any, show_progress: bool = True) -> int:
    """Encode the sentences of the store's videos and clips that are not encoded yet, and the empty one; how many were
    added."""
    with TextWriter(root) as writer, Progress(disable=not show_progress) as progress:
        new = [sentence for sentence in sorted(sentences_of(root)) if sentence not in writer]
        row = progress.add_task("encoding sentences", total=len(new))
        for first in range(0, len(new), SENTENCES_AT_ONCE):
            some = new[first : first + SENTENCES_AT_ONCE]
            for sentence, embedding in zip(some, encode_text(tokenizer, text_encoder, some), strict=True):
                writer.add(sentence, embedding)
            progress.advance(row, len(some))
    return len(new)


def sentences_of(root: str | Path) -> set[str]:
    """All sentences that a store's videos and clips carry, and the empty one."""
    clips = StoreLayout(Path(root)).clips
    stores = [Path(root), *([clips] if StoreLayout(clips).index.is_file() else [])]

    def told() -> Iterator[str]:
        for store in stores:
            for row in LatentStore(store):
                yield from row.meta.get("sentences", ())

    return {"", *told()}
