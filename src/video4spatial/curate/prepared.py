"""The store that is curated, and the source it was made of, opened again to be looked at."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from video4spatial.data.origin import read_origin
from video4spatial.data.source import Source
from video4spatial.model.frozen import frozen_vae, vae_fingerprint
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore


class PreparedStore:
    """A store that ``prepare`` made.

    Args:
        root: its folder.
        source_root: where the source lies now, if not where it was when the store was made.

    Attributes:
        rows: its videos, in order of their ids. ``origin``: what it was made of.
    """

    def __init__(self, root: str | Path, source_root: str | None = None) -> None:
        self.layout = StoreLayout(Path(root))
        origin = read_origin(self.layout.root)
        self.origin = origin if source_root is None else replace(origin, root=source_root)
        self.rows = sorted(LatentStore(self.layout.root), key=lambda row: row.video_id)
        if not self.rows:
            raise InputError(f"{root} holds no videos: prepare it first")

    @cached_property
    def source(self) -> Source:
        """Nothing of it is read before a scene is opened. Raises ``InputError`` naming its place if it is not there."""
        try:
            return self.origin.source()
        except InputError as error:
            raise InputError(f"{error} (the source of {self.layout.root}; --root says where it lies now)") from None

    def codec(self, name: str | None = None) -> LatentCodec:
        """The VAE that the store was encoded with; ``name`` (None: the one it was made with) says where it is now.

        Raises:
            InputError: it is another.
        """
        codec = frozen_vae(name or self.origin.vae)
        if vae_fingerprint(codec) != self.origin.fingerprint:
            raise InputError(
                f"{self.layout.root} was encoded with another VAE than that of {name or self.origin.vae} (it was "
                f"{self.origin.vae}): give that one with --model"
            )
        return codec
