"""The text store: embeddings of sentences made once, so that a large text encoder need not stay in memory.

It is a latent store in the folder ``text`` of the store whose videos' sentences it holds: one entry a distinct
sentence, the zeros that Wan pads every sentence with (to 512 tokens) left out.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore, LatentWriter

_TENSOR = "text"


def sentence_id(sentence: str) -> str:
    """The entry's name: sentences are distinct, and may hold what names may not."""
    return hashlib.sha256(sentence.encode()).hexdigest()[:32]


class TextWriter:
    """Adds embeddings to the text store of the store at ``root``; use it as a context manager. Opening it again goes
    on after the sentences that are there."""

    def __init__(self, root: str | Path) -> None:
        self._writer = LatentWriter(StoreLayout(Path(root)).texts)

    def __contains__(self, sentence: str) -> bool:
        return sentence_id(sentence) in self._writer

    def __enter__(self) -> "TextWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, sentence: str, embedding: Float[Tensor, "L D"]) -> None:
        """Add an embedding that is zero behind the sentence's end."""
        told = embedding.abs().amax(dim=1).nonzero()
        length = int(told.max()) + 1 if len(told) else 1
        meta = {"sentence": sentence, "padded": len(embedding)}
        self._writer.add(sentence_id(sentence), "text", {_TENSOR: embedding[:length]}, fps=0, size=(0, 0), meta=meta)


class TextStore:
    """Reads embeddings, from the text stores of one or several stores."""

    def __init__(self, roots: Iterable[str | Path]) -> None:
        self.roots = [Path(root) for root in roots]
        missing = [root for root in self.roots if not StoreLayout(StoreLayout(root).texts).index.is_file()]
        if missing:
            raise InputError(f"{missing[0]} holds no text embeddings: {self._remedy(missing[0])}")
        self._stores = [LatentStore(StoreLayout(root).texts) for root in self.roots]
        rows = [row for store in self._stores for row in store]
        shapes = {(row.meta["padded"], row.tensors[_TENSOR][1]) for row in rows}
        if len(shapes) != 1:
            raise InputError(
                f"the text embeddings in {', '.join(map(str, self.roots))} have the shapes {sorted(shapes)}: they must "
                "all come from one text encoder; remove the text folders of the others and precompute them again"
            )
        self.tokens, self.width = next(iter(shapes))

    def __contains__(self, sentence: str) -> bool:
        return any(sentence_id(sentence) in store for store in self._stores)

    def __len__(self) -> int:
        return len({row.video_id for store in self._stores for row in store})

    def missing(self, sentences: Iterable[str]) -> list[str]:
        """Those of ``sentences`` that have no embedding, in order of the alphabet."""
        return sorted(sentence for sentence in set(sentences) if sentence not in self)

    def require(self, sentences: Iterable[str]) -> None:
        """Raise ``InputError`` unless all have embeddings: better known at a run's start than in it."""
        if missing := self.missing(sentences):
            more = f" and of {len(missing) - 1} more" if len(missing) > 1 else ""
            root = self.roots[0]
            raise InputError(f"no text embedding of {missing[0]!r}{more} in {root}: {self._remedy(root)}")

    def read(self, sentence: str) -> Float[Tensor, "L D"]:
        """The embedding with its padding, in float32.

        Raises:
            InputError: the sentence is in none of the stores.
        """
        self.require([sentence])
        name = sentence_id(sentence)
        store = next(store for store in self._stores if name in store)
        found = store.read(name, _TENSOR).float()
        return F.pad(found, (0, 0, 0, self.tokens - len(found)))

    def read_all(self, sentences: list[str]) -> Float[Tensor, "B L D"]:
        return torch.stack([self.read(sentence) for sentence in sentences])

    @staticmethod
    def _remedy(root: Path) -> str:
        return f"add what is missing by `video4spatial precompute RECIPE --out {root}`"
