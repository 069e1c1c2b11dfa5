"""Training the transformer on both tasks, from rooms rendered and encoded while it trains."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, UMT5EncoderModel

from video4spatial.data.dataset import Batch, ExampleSampler, LatentVideo
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import resolve_part, small_text_encoder, small_transformer, word_tokenizer
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.rooms import vocabulary
from video4spatial.schema import grounding_sentence
from video4spatial.train.config import TransformerRun
from video4spatial.train.loop import choose_device
from video4spatial.train.step import Draw, TextTable, draw, flow_matching_loss, select_trained
from video4spatial.train.stream import LatentRooms, validation_videos

JUDGED_SIGMAS = (0.3, 0.6, 0.9)


def text_parts(name: str) -> tuple[PreTrainedTokenizerBase, UMT5EncoderModel]:
    """The tokenizer and text encoder beside the VAE; a VAE that has none beside it gets those of rooms' words."""
    folder = resolve_part(name, "vae").parent
    if (folder / "tokenizer").is_dir():
        tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        return tokenizer, UMT5EncoderModel.from_pretrained(folder / "text_encoder", torch_dtype=torch.float32).eval()
    template = re.findall("[a-z]+", grounding_sentence("the").lower())
    tokenizer = word_tokenizer([*vocabulary(), *template])
    return tokenizer, small_text_encoder(len(tokenizer))


class TransformerTask:
    """Flow matching on rooms (``train.step``); validation by loss with and without context at fixed noise levels.

    ``replica`` of ``replicas`` data-parallel processes (those that hold different examples) is this one.
    """

    def __init__(self, config: TransformerRun, show_progress: bool = True, replica: int = 0, replicas: int = 1) -> None:
        self.config, self.replica, self.replicas = config, replica, replicas
        self.device = choose_device(config.device)
        vae: Any = AutoencoderKLWan.from_pretrained(resolve_part(config.frozen_parts, "vae"), torch_dtype=torch.float32)
        self.codec = LatentCodec(vae.to(self.device).eval().requires_grad_(False))
        self.tokenizer, self.text_encoder = text_parts(config.frozen_parts)
        self.text = TextTable(self.tokenizer, self.text_encoder, self.device)
        self.model: Any = self._start(self.text_encoder.config.d_model).train().to(self.device)
        self.trained = select_trained(self.model, config.train)
        self.forward = torch.compile(self.model, dynamic=False) if config.compile else self.model
        self.rooms = LatentRooms(config.stream, self.codec, show_progress)
        self._sampler: ExampleSampler | None = None
        self._sampled: list[LatentVideo] = []
        self._judged: list[Batch] = []
        self.ids: list[str] = []  # what the last loss was computed on

    def _start(self, text_dim: int) -> Any:
        torch.manual_seed(self.config.seed)
        if self.config.start is None:
            return small_transformer(self.config.width, self.config.layers, self.config.head_dim, text_dim)
        folder = resolve_part(self.config.start, "transformer")
        return Video4SpatialTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32)

    def sampler(self, step: int) -> ExampleSampler:
        """The examples of step ``step``'s rooms."""
        videos = self.rooms.at(step)
        same = len(videos) == len(self._sampled) and all(a is b for a, b in zip(videos, self._sampled, strict=True))
        if self._sampler is None or not same:
            self._sampler = ExampleSampler(videos, self.config.window, self.config.seed)
            self._sampled = videos
        return self._sampler

    def loss(self, step: int, progress: float, micro: int = 0) -> tuple[Tensor, dict[str, float]]:
        """The mean loss over micro-batch ``micro`` of this replica's share of step ``step``'s batch.

        The step's batch has ``micro_batches * replicas`` parts; this replica works through parts ``replica``,
        ``replica + replicas``, ... and each example is the same however many share the work.
        """
        parts = self.config.micro_batches(self.replicas) * self.replicas
        part = micro * self.replicas + self.replica
        batch = self.sampler(step).batch(step, self.config.batch, part).to(self.device)
        self.ids = batch.ids
        losses = self._losses(batch, draw(batch, self.config, step, part=part, parts=parts))
        navigates = torch.tensor([not sentence for sentence in batch.sentences], device=losses.device)
        extra = {}
        for name, chosen in (("loss_navigation", navigates), ("loss_grounding", ~navigates)):
            if chosen.any():
                extra[name] = losses.detach()[chosen].mean().item()
        return losses.mean(), extra

    def _losses(self, batch: Batch, random: Draw) -> Tensor:
        dtype = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        with torch.autocast(self.device.type, dtype, enabled=self.config.precision == "bf16"):
            text = self.text(batch.sentences)
            return flow_matching_loss(self.forward, batch, text, self.text.null, random, self.config)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss at fixed noise levels: as it is, and the gain of context over context that belongs to another room."""
        if not self._judged:
            videos = validation_videos(self.config.stream, self.config.validation_rooms, self.codec)
            sampler = ExampleSampler(videos, self.config.window, seed=self.config.seed + 1)
            longest = max(self.config.window.context)
            batches = [sampler.batch(i, self.config.batch) for i in range(40)]
            batches = [batch for batch in batches if batch.context.shape[2] == longest]
            self._judged = [b.to(self.device) for b in batches[: self.config.validation_batches]]
        figures: dict[str, float] = {}
        for sigma in JUDGED_SIGMAS:
            own, foreign = [], []
            for number, batch in enumerate(self._judged):
                random = draw(batch, self.config, number, sigma)
                own.append(self._losses(batch, random).mean())
                other = replace(batch, context=batch.context.roll(1, 0), context_index=batch.context_index.roll(1, 0))
                foreign.append(self._losses(other, random).mean())
            loss, without = torch.stack(own).mean().item(), torch.stack(foreign).mean().item()
            figures[f"loss_{sigma}"] = loss
            figures[f"context_gain_{sigma}"] = 1 - loss / without
        return figures

    def export(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Save the transformer by itself: what trained may be one process's part of it."""
        with torch.device("meta"):
            whole: Any = Video4SpatialTransformer3DModel.from_config(self.model.config)
        whole.load_state_dict(weights, assign=True)
        whole.save_pretrained(folder / "transformer")

    def close(self) -> None:
        self.rooms.close()
