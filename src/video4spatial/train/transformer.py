"""Training the transformer on both tasks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from video4spatial.data.dataset import Batch
from video4spatial.model.lora import add_lora, fuse_lora, save_lora, unload_lora
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.train.config import TransformerRun
from video4spatial.train.loop import choose_device
from video4spatial.train.parallel import ALONE
from video4spatial.train.sources import Prepared, RoomSource, Source, StoreSource
from video4spatial.train.start import hold_frozen, starting_transformer
from video4spatial.train.step import Draw, draw, flow_matching_loss, select_trained

JUDGED_SIGMAS = (0.3, 0.6, 0.9)


class TransformerTask:
    """Flow matching (``train.step``); validation by loss with and without context at fixed noise levels.

    ``replica`` of ``replicas`` data-parallel processes (those that hold different examples) is this one. A step's batch
    has ``micro_batches * replicas`` parts, of which replica r works through parts r, r + replicas, ...; each example is
    the same however many share the work. Reading goes through ``together``: where it fails on one process, none waits.
    """

    def __init__(
        self,
        config: TransformerRun,
        show_progress: bool = True,
        replica: int = 0,
        replicas: int = 1,
        together: Callable[[Callable[[], Any]], Any] = ALONE.together,
    ) -> None:
        self.config, self.replica, self.replicas, self.together = config, replica, replicas, together
        self.device = choose_device(config.device)
        self.source: Source = (
            RoomSource(config, self.device, show_progress, replicas)
            if config.data is None
            else StoreSource(config, config.data, self.device, replicas)
        )
        try:
            self.model: Any = starting_transformer(config, self.source.text_dim)
            if config.lora is None:
                select_trained(self.model, config.train)
            else:
                add_lora(self.model, config.lora.rank, config.lora.alpha)
            hold_frozen(self.model, config.weights_dtype)
            if config.checkpointing:
                self.model.enable_gradient_checkpointing()
            self.model.train()
        except BaseException:
            self.source.close()
            raise
        self._judged: list[Batch] | None = None
        self.ids: list[str] = []  # what the last loss was computed on

    def loss(self, step: int, progress: float, micro: int = 0) -> tuple[Tensor, dict[str, float]]:
        """The mean loss over micro-batch ``micro`` of this replica's share of step ``step``'s batch."""
        prepared: Prepared = self.together(lambda: self.source.prepare(step, micro * self.replicas + self.replica))
        batch = prepared.batch.to(self.device)
        self.ids = batch.ids
        losses = self._losses(batch, prepared.text.to(self.device, non_blocking=True), prepared.random)
        navigates = torch.tensor([not sentence for sentence in batch.sentences], device=losses.device)
        extra = {}
        for name, chosen in (("loss_navigation", navigates), ("loss_grounding", ~navigates)):
            if chosen.any():
                extra[name] = losses.detach()[chosen].mean().item()
        return losses.mean(), extra

    def _losses(self, batch: Batch, text: Tensor, random: Draw) -> Tensor:
        dtype = torch.bfloat16 if self.config.precision == "bf16" else torch.float32
        # no cache of cast weights: each is used once a pass, and under FSDP the copies would outlive the gathered ones
        autocast = torch.autocast(self.device.type, dtype, self.config.precision == "bf16", cache_enabled=False)
        with autocast:
            return flow_matching_loss(self.model, batch, text, self.source.null_text, random, self.config)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss at fixed noise levels: as it is, and the gain of context over context that belongs to another room.

        Empty for stores of which nothing is held out.
        """
        if self._judged is None:
            self._judged = self.together(self._validation_batches)
        if not self._judged:
            return {}
        texts = self.together(lambda: [self.source.text(batch.sentences) for batch in self._judged or ()])
        figures: dict[str, float] = {}
        for sigma in JUDGED_SIGMAS:
            own, foreign = [], []
            for number, (batch, text) in enumerate(zip(self._judged, texts, strict=True)):
                random = draw(batch, self.config, number, sigma)
                own.append(self._losses(batch, text, random).mean())
                other = replace(batch, context=batch.context.roll(1, 0), context_index=batch.context_index.roll(1, 0))
                foreign.append(self._losses(other, text, random).mean())
            loss, without = torch.stack(own).mean().item(), torch.stack(foreign).mean().item()
            figures[f"loss_{sigma}"] = loss
            figures[f"context_gain_{sigma}"] = 1 - loss / without
        return figures

    def _validation_batches(self) -> list[Batch]:
        """``validation_batches`` of the longest context, of two examples at least: contexts change places in them."""
        sampler = self.source.validation()
        found: list[Batch] = []
        for number in range(40):
            if sampler is None or len(found) == self.config.validation_batches:
                break
            batch = sampler.batch(number, max(2, self.config.batch))
            if batch.context.shape[2] == max(self.config.window.context):
                found.append(batch.to(self.device))
        return found

    def export(self, folder: Path, weights: dict[str, Tensor]) -> None:
        """Save the transformer of ``weights``, the whole state dict (the model itself may be one process's part).

        A LoRA is saved by itself (``lora``) and fused into what the run started from, in float32.
        """
        if self.config.lora is None:
            with torch.device("meta"):
                whole: Any = Video4SpatialTransformer3DModel.from_config(self.model.config)
            whole.load_state_dict(weights, assign=True)
        else:
            whole = starting_transformer(self.config, self.source.text_dim)
            names = set(add_lora(whole, self.config.lora.rank, self.config.lora.alpha))
            with torch.no_grad():
                for name, parameter in whole.named_parameters():
                    if name in names:
                        parameter.copy_(weights[name])
            save_lora(whole, folder / "lora")
            fuse_lora(whole)
            unload_lora(whole)
        whole.save_pretrained(folder / "transformer")

    def close(self) -> None:
        self.source.close()
