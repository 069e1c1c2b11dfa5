"""Joint classifier-free guidance over instruction and context (paper, Section 3.4).

    v = v(x, t, null, z_ctx) + w (v(x, t, g, x_ctx) - v(x, t, null, z_ctx)),        z_ctx ~ N(0, I)

In the null branch the context's slots hold pure noise and are told so by the maximum timestep, as masked history is in
History Guidance (the paper is silent on the timestep); the first frame stays clean in both branches.

``GuidedVelocity`` computes this for one clip. What does not change over its steps is made once: the sequence, the
indices, the rotary tables, the projected text, and, where context attends to itself alone, its keys and values.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from video4spatial.model.attention import ContextCache
from video4spatial.model.block_cache import BlockCache
from video4spatial.model.context import MAX_TIMESTEP, Sequence, assemble
from video4spatial.model.transformer import Steady
from video4spatial.sample.modes import Sampling
from video4spatial.schema import InputError

GUIDANCE_MODES = ("joint", "text", "none")
CONDITIONAL, NULL = "conditional", "null"


@dataclass(frozen=True)
class Guidance:
    """How strongly, and over what, to guide.

    ``joint`` (the paper) drops instruction and context together in the null branch, ``text`` (ablation) only the
    instruction, ``none`` (ablation) does without a null branch. ``scale`` 1 costs one evaluation a step, like ``none``.
    """

    scale: float = 5.0
    mode: Literal["joint", "text", "none"] = "joint"

    def __post_init__(self) -> None:
        if self.mode not in GUIDANCE_MODES:
            raise InputError(f"guidance mode is {self.mode!r}: use one of {', '.join(GUIDANCE_MODES)}")
        if not 0 <= self.scale < float("inf"):
            raise InputError(f"guidance is {self.scale}: give a number of at least 0 (1 is off, the paper uses 5)")

    @property
    def guides(self) -> bool:
        """Whether the null branch is needed at all."""
        return self.mode != "none" and self.scale != 1.0


@dataclass
class Conditions:
    """What one clip is conditioned on; a batch of one."""

    context: Float[Tensor, "1 C Fc h w"]
    context_index: Int[Tensor, "1 Fc"]
    context_noise: Float[Tensor, "1 C Fc h w"]
    text: Float[Tensor, "1 L D"]
    null_text: Float[Tensor, "1 L D"]
    camera: Float[Tensor, "1 K F h w"]
    gap: int
    vanilla_rope: bool = False

    def sequence(self, branch: str, guidance: Guidance, null_context: str) -> Sequence:
        """A branch's sequence, its target and timestep still to be put in (``Sequence.renew``)."""
        noisy = branch == NULL and guidance.mode == "joint"
        target = self.context.new_zeros(*self.context.shape[:2], *self.camera.shape[2:])
        sequence = assemble(
            context=self.context_noise if noisy else self.context,
            context_index=self.context_index,
            target=target,
            timestep=torch.zeros(1, device=target.device),
            camera=torch.zeros_like(self.camera) if branch == NULL else self.camera,
            context_timestep=MAX_TIMESTEP if noisy else 0.0,
            gap=self.gap,
            vanilla_rope=self.vanilla_rope,
        )
        return sequence.target_alone() if noisy and null_context == "none" else sequence


class BranchPass:
    """Guidance branches that go through the transformer as one batch, step after step."""

    def __init__(
        self,
        transformer: Any,
        branches: tuple[str, ...],
        sequence: Sequence,
        text: Float[Tensor, "b L D"],
        context_cache: ContextCache | None = None,
        block_cache: BlockCache | None = None,
    ) -> None:
        self.transformer, self.branches, self.sequence, self.text = transformer, branches, sequence, text
        self.context_cache, self.block_cache = context_cache, block_cache
        self.steady = Steady()

    def cache_context(self) -> "BranchPass":
        """The same branches with their context gone through the transformer, once; only the target is left to do."""
        if not self.sequence.context_frames:
            return self
        context, cache = self.sequence.context_alone(), ContextCache()
        self._run(context, Steady(), {"context_cache": cache})
        target = self.sequence.target_alone()
        return BranchPass(self.transformer, self.branches, target, self.text, cache.freeze(), self.block_cache)

    def first(self) -> "BranchPass":
        """The first branch by itself; shares this one's memory."""
        s, cache = self.sequence, self.context_cache
        one = Sequence(
            s.latents[:1],
            s.timestep[:1],
            s.frame_index[:1],
            None if s.camera is None else s.camera[:1],
            s.context_frames,
        )
        row = None if cache is None else cache.row(0)
        return BranchPass(self.transformer, self.branches[:1], one, self.text[:1], row, self.block_cache)

    def velocity(
        self, target: Float[Tensor, "1 C F h w"], timestep: Float[Tensor, ""]
    ) -> Float[Tensor, "branches C F h w"]:
        """Each branch's prediction for the target, in float32."""
        sequence = self.sequence.renew(target.expand(len(self.branches), -1, -1, -1, -1), timestep)
        caches: dict[str, Any] = {}
        if self.context_cache is not None:
            caches["context_cache"] = self.context_cache
        if self.block_cache is not None:
            caches["block_cache"] = self.block_cache.of(*self.branches)
        return sequence.target(self._run(sequence, self.steady, caches)).float()

    def _run(self, sequence: Sequence, steady: Steady, caches: dict[str, Any]) -> Tensor:
        return self.transformer(
            sequence.latents,
            sequence.timestep,
            self.text,
            frame_index=sequence.frame_index[0],  # the same in every branch
            camera=sequence.camera,
            context_frames=sequence.context_frames,
            steady=steady,
            return_dict=False,
            **caches,
        )[0]


class GuidedVelocity:
    """The guided velocity of one clip's target at every step (see the top of this file); make a new one a clip.

    ``sampling`` is exact unless told otherwise; it must fit ``guidance`` (``Sampling.resolve``).
    """

    def __init__(
        self, transformer: Any, conditions: Conditions, guidance: Guidance, sampling: Sampling | None = None
    ) -> None:
        self.guidance = guidance
        self.sampling = (sampling or Sampling()).resolve(guidance.guides, guidance.mode)
        threshold = self.sampling.block_cache
        self.block_cache = None if threshold is None else BlockCache(threshold)
        names = (CONDITIONAL, NULL) if guidance.guides else (CONDITIONAL,)
        texts = {CONDITIONAL: conditions.text, NULL: conditions.null_text}
        null_context = self.sampling.null_context or "noise"
        sequences = {name: conditions.sequence(name, guidance, null_context) for name in names}
        frames = {sequence.context_frames for sequence in sequences.values()}
        self.batched = self.sampling.branches == "batched" and len(frames) == 1 and len(names) == 2

        def make(*branches: str) -> BranchPass:
            sequence = _stack([sequences[b] for b in branches])
            text = torch.cat([texts[b] for b in branches])
            alone = BranchPass(transformer, branches, sequence, text, block_cache=self.block_cache)
            return alone.cache_context() if self.sampling.context_attention == "causal" else alone

        if self.batched:
            self.together = make(*names)
            self.conditional, self.null = self.together.first(), None
        else:
            self.together = None
            self.conditional, self.null = make(CONDITIONAL), make(NULL) if guidance.guides else None

    def __call__(
        self, target: Float[Tensor, "1 C F h w"], timestep: Float[Tensor, ""] | Int[Tensor, ""], sigma: float
    ) -> Float[Tensor, "1 C F h w"]:
        """The velocity at ``timestep`` (0 to 1000) and noise level ``sigma`` (0 to 1: the same thing, on the host).

        ``target``'s first latent is the clean first frame.
        """
        time = timestep.float()
        if not self.guidance.guides or not self.sampling.guides_at(sigma):
            return self.conditional.velocity(target, time)
        if self.together is not None:
            conditional, null = self.together.velocity(target, time).chunk(2)
        else:
            assert self.null is not None
            conditional, null = self.conditional.velocity(target, time), self.null.velocity(target, time)
        return null + self.guidance.scale * (conditional - null)


def _stack(sequences: list[Sequence]) -> Sequence:
    """Branches of one length as one batch."""
    cameras = [s.camera for s in sequences if s.camera is not None]
    return Sequence(
        torch.cat([s.latents for s in sequences]),
        torch.cat([s.timestep for s in sequences]),
        torch.cat([s.frame_index for s in sequences]),
        torch.cat(cameras) if cameras else None,
        sequences[0].context_frames,
    )


def guided_velocity(
    transformer: Any,
    target: Float[Tensor, "1 C F h w"],
    timestep: Float[Tensor, ""] | Int[Tensor, ""],
    conditions: Conditions,
    guidance: Guidance,
    sampling: Sampling | None = None,
) -> Float[Tensor, "1 C F h w"]:
    """The velocity of a single step: ``GuidedVelocity`` where nothing is to be kept for a next one."""
    velocity = GuidedVelocity(transformer, conditions, guidance, sampling)
    return velocity(target, timestep, float(timestep) / MAX_TIMESTEP)
