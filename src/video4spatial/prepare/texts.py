"""Sentences through the frozen text encoder, beside the latents of the videos and clips that they are about."""

from pathlib import Path
from typing import Any

from rich.progress import Progress

from video4spatial.data.latent_videos import index_rows
from video4spatial.model.instruction import encode_text
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
    return {"", *(sentence for row in index_rows(root) for sentence in row.meta.get("sentences", ()))}
