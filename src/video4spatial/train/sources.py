"""Where a transformer's examples come from: rooms rendered while it trains, or stores encoded beforehand."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from video4spatial.data.ahead import ReadAhead
from video4spatial.data.dataset import Batch, ExampleSampler
from video4spatial.data.latent_videos import LatentVideo, open_stores
from video4spatial.data.origin import encoded_by
from video4spatial.model.frozen import frozen_folder, frozen_vae, text_parts, vae_fingerprint
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.texts import TextStore
from video4spatial.train.config import StoreConfig, TransformerRun
from video4spatial.train.leaks import require_no_leak
from video4spatial.train.step import Draw, TextTable, draw
from video4spatial.train.stream import LatentRooms, validation_videos


@dataclass
class Prepared:
    """A micro-batch with all that its loss needs."""

    batch: Batch
    text: Float[Tensor, "B L D"]
    random: Draw


class Source(Protocol):
    """Examples and their text; what it gives depends on nothing but (seed, step, part).

    Attributes:
        text_dim: width of the text embeddings.
        null_text: the embedding of no sentence.
    """

    text_dim: int
    null_text: Float[Tensor, "1 L D"]

    def prepare(self, step: int, part: int) -> Prepared: ...

    def text(self, sentences: list[str]) -> Float[Tensor, "B L D"]: ...

    def validation(self) -> ExampleSampler | None:
        """Examples that are never trained on; None if there are none."""
        ...

    def close(self) -> None: ...


class RoomSource:
    """Rooms rendered by workers, encoded here, their sentences as well, while training goes on."""

    def __init__(
        self, config: TransformerRun, device: torch.device, show_progress: bool = True, replicas: int = 1
    ) -> None:
        self.config, self.parts = config, config.micro_batches(replicas) * replicas
        self.codec = frozen_vae(config.frozen_parts)
        self.codec.vae.to(device)
        self.tokenizer, self.text_encoder = text_parts(config.frozen_parts)
        self.text = TextTable(self.tokenizer, self.text_encoder, device)
        self.text_dim, self.null_text = self.text_encoder.config.d_model, self.text.null
        self.rooms = LatentRooms(config.stream, self.codec, show_progress)
        self._sampler: ExampleSampler | None = None
        self._sampled: list[LatentVideo] = []

    def sampler(self, step: int) -> ExampleSampler:
        """The examples of step ``step``'s rooms."""
        videos = self.rooms.at(step)
        same = len(videos) == len(self._sampled) and all(a is b for a, b in zip(videos, self._sampled, strict=True))
        if self._sampler is None or not same:
            self._sampler = ExampleSampler(videos, self.config.window, self.config.seed)
            self._sampled = videos
        return self._sampler

    def prepare(self, step: int, part: int) -> Prepared:
        batch = self.sampler(step).batch(step, self.config.batch, part)
        random = draw(batch, self.config, step, part=part, parts=self.parts)
        return Prepared(batch, self.text(batch.sentences), random)

    def validation(self) -> ExampleSampler | None:
        videos = validation_videos(self.config.stream, self.config.validation_rooms, self.codec)
        return ExampleSampler(videos, self.config.window, seed=self.config.seed + 1)

    def close(self) -> None:
        self.rooms.close()


class StoreSource:
    """Latents and text embeddings made beforehand, read by threads ahead of the step that needs them."""

    def __init__(self, config: TransformerRun, data: StoreConfig, device: torch.device, replicas: int = 1) -> None:
        self.config, self.device, self.replicas = config, device, replicas
        self.parts = config.micro_batches(replicas) * replicas
        frozen_folder(config.frozen_parts)  # the export copies it: better known to be missing now than then
        train, judging = split(data)
        require_vae(data, config.frozen_parts)
        self.sampler = ExampleSampler(train, config.window, config.seed)
        self._judge = _judge(judging, config) if judging else None
        self._texts = TextStore([*data.roots, *(data.validation or ())])
        if config.window.navigation < 1:
            self._texts.require(sentence for video in (*train, *judging) for sentence in video.sentences)
        self.text_dim = self._texts.width
        self.null_text = self.text([""])
        self._ahead: ReadAhead[tuple[int, int], Prepared] = ReadAhead(
            self._read, self._following, data.readers, data.ahead
        )

    def text(self, sentences: list[str]) -> Float[Tensor, "B L D"]:
        return self._texts.read_all(sentences).to(self.device)

    def prepare(self, step: int, part: int) -> Prepared:
        return self._ahead((step, part))

    def _read(self, key: tuple[int, int]) -> Prepared:
        step, part = key
        batch = self.sampler.batch(step, self.config.batch, part)
        random = draw(batch, self.config, step, part=part, parts=self.parts)
        return Prepared(batch, self._texts.read_all(batch.sentences), random)

    def _following(self, key: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """The parts that this replica works through after ``key``: every ``replicas``-th of each step."""
        step, part = key
        while True:
            part += self.replicas
            if part >= self.parts:
                step, part = step + 1, part % self.replicas
            yield step, part

    def validation(self) -> ExampleSampler | None:
        return self._judge

    def close(self) -> None:
        self._ahead.close()


def _judge(videos: Sequence[LatentVideo], config: TransformerRun) -> ExampleSampler:
    """Examples to judge the run by, made at its start: what they lack is better known then than later."""
    try:
        return ExampleSampler(videos, config.window, seed=config.seed + 1)
    except InputError as error:
        raise InputError(f"of what the run is judged by (data.validation, data.held_out): {error}") from None


def require_vae(data: StoreConfig, name: str) -> None:
    """Raise ``InputError`` unless the stores were encoded by the VAE of ``name``, as far as it is written in them which
    it was: the run's pipeline would decode what it never learnt."""
    told = {root: written for root in (*data.roots, *(data.validation or ())) if (written := encoded_by(root))}
    own = vae_fingerprint(frozen_vae(name)) if told else ""
    for root, written in told.items():
        if written != own:
            raise InputError(
                f"{root} was encoded by another VAE than that of {name}: set vae= to what it was prepared with "
                f"({StoreLayout(Path(root)).origin}), or prepare it with --model {name}"
            )


def split(data: StoreConfig) -> tuple[Sequence[LatentVideo], Sequence[LatentVideo]]:
    """The videos to train on and those to judge by. Held-out environments are chosen by their names, so that a store
    that has grown holds out the same ones, and some more.

    Raises:
        InputError: a store that cannot be opened, or a leak (``require_no_leak``).
    """
    require_no_leak(data)
    videos = open_stores(data.roots, data.preload)
    if data.validation is not None:
        return videos, open_stores(data.validation, data.preload)
    if data.held_out == 0:
        return videos, []
    shares = {video.environment_id: _share(video.environment_id) for video in videos}
    limit = max(data.held_out, min(shares.values()))  # at least one
    judging = [video for video in videos if shares[video.environment_id] <= limit]
    training = [video for video in videos if shares[video.environment_id] > limit]
    if not training:
        raise InputError(
            f"{', '.join(data.roots)} has {len(shares)} environments, and all are held out to judge the run: add more, "
            "or set data.held_out=0 or data.validation"
        )
    return training, judging


def _share(environment: str) -> float:
    """A number in [0, 1) that belongs to the name."""
    return int.from_bytes(hashlib.sha256(environment.encode()).digest()[:8], "big") / 2**64
