"""The video diffusion transformer of Wan2.2-TI2V, told which latent frames are context and where they come from.

It is ``WanTransformer3DModel`` with five additions, each inert when unused, so that stock checkpoints, attention
backends, LoRA, quantisation, offload and compilation work as they stand:

* one timestep a latent frame (context 0, target t) instead of one a token: the same numbers, far less memory;
* sparse temporal RoPE indices (``rope.py``);
* a camera embedding added to the target's tokens, zero-initialised (paper, Section 3.3);
* context that may attend to itself alone, its keys and values kept over a clip's steps (``attention.py``);
* what does not change over a clip's steps computed once (``Steady``), and blocks skipped (``block_cache.py``).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from diffusers import ModelMixin, WanTransformer3DModel  # diffusers looks ModelMixin up in this module
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.utils import apply_lora_scale
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from video4spatial.model.attention import (
    ContextAttnProcessor,
    ContextCache,
    LayerContext,
    QueryKeyNorm,
    without_autocast,
)
from video4spatial.model.block_cache import BranchBlockCache
from video4spatial.model.diffusers_internals import (
    ContextParallelInput,
    ContextParallelOutput,
    TransformerBlockMetadata,
    TransformerBlockRegistry,
    WanTransformerBlock,
)
from video4spatial.model.rope import SparseRotaryPosEmbed
from video4spatial.model.stored import require_part
from video4spatial.schema import InputError

Kept = TypeVar("Kept")

CAMERA_KEY = "camera_embedding.weight"  # the one tensor that stock checkpoints lack

__all__ = ["CAMERA_KEY", "ModelMixin", "Video4SpatialTransformer3DModel", "Video4SpatialTransformerBlock"]


class Steady:
    """What stays the same over one clip's steps in one branch: the first forward pass keeps it, the others read it."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def once(self, name: str, compute: Callable[[], Kept]) -> Kept:
        """The kept value of ``name``, computed if there is none yet."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


class FrameModulation:
    """Scale, shift and gate rows kept one a latent frame and spread over that frame's tokens by broadcasting.

    ``token_frame`` (the frame number of each token) is only given under context parallelism, where a process holds a
    part of the sequence that need not end at a frame boundary: then rows are gathered instead.
    """

    def __init__(self, tokens: Tensor, frames: int, token_frame: Tensor | None) -> None:
        batch, count, width = tokens.shape
        self.token_frame = token_frame
        self.flat = (batch, count, width)
        self.shape = (batch, frames, count // frames, width) if token_frame is None else self.flat

    def rows(self, values: Float[Tensor, "B F D"]) -> Tensor:
        """``values`` in a shape that broadcasts against the view of the tokens."""
        return values.unsqueeze(2) if self.token_frame is None else values.index_select(1, self.token_frame)

    def scale_shift(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """``x * (1 + scale) + shift`` per frame, in float32."""
        return (x.view(self.shape) * (1 + self.rows(scale)) + self.rows(shift)).view(self.flat)

    def gated_sum(self, x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
        """``x + update * gate`` per frame, in float32."""
        return (x.float().view(self.shape) + update.view(self.shape) * self.rows(gate)).view(self.flat)


class Video4SpatialTransformerBlock(WanTransformerBlock):
    """A Wan block whose modulation has one row a latent frame, and whose self-attention may use a context cache."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        hidden_states: Float[Tensor, "B N D"],
        encoder_hidden_states: Float[Tensor, "B L D"],
        temb: Float[Tensor, "B F 6 D"],
        rotary_emb: tuple[Tensor, Tensor],
        token_frame: Int[Tensor, " N"] | None = None,
        attention_mask: Bool[Tensor, "..."] | None = None,
        context_cache: LayerContext | None = None,
        context_tokens: int = 0,
    ) -> Float[Tensor, "B N D"]:
        """Self-attention over the sequence, cross-attention to the text, feed-forward; modulated a frame at a time."""
        dtype = hidden_states.dtype
        modulation = (self.scale_shift_table.unsqueeze(0) + temb.float()).unbind(2)
        shift_attn, scale_attn, gate_attn, shift_ffn, scale_ffn, gate_ffn = modulation
        frames = FrameModulation(hidden_states, temb.shape[1], token_frame)

        x = frames.scale_shift(self.norm1(hidden_states.float()), scale_attn, shift_attn).to(dtype)
        causal = {"context_cache": context_cache, "context_tokens": context_tokens}
        update = self.attn1(x, None, attention_mask, rotary_emb, **causal)
        hidden_states = frames.gated_sum(hidden_states, update, gate_attn).to(dtype)

        x = self.norm2(hidden_states.float()).to(dtype)
        hidden_states = hidden_states + self.attn2(x, encoder_hidden_states, None, None)

        x = frames.scale_shift(self.norm3(hidden_states.float()), scale_ffn, shift_ffn).to(dtype)
        return frames.gated_sum(hidden_states, self.ffn(x).float(), gate_ffn).to(dtype)


TransformerBlockRegistry.register(
    Video4SpatialTransformerBlock,
    TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),  # pyright: ignore
)


class TokenFrame(nn.Module):
    """Identity over the token-to-frame map; a module, so that context parallelism can shard the map."""

    def forward(self, token_frame: Tensor) -> Tensor:
        """Hand the index of the frame that each token belongs to through."""
        return token_frame


class Video4SpatialTransformer3DModel(WanTransformer3DModel):
    """Wan2.2-TI2V's transformer over the sequence ``[context | target]`` (paper, Section 3.2).

    Args are those of ``WanTransformer3DModel`` (defaults: the 5B model's) and ``camera_channels``, the channels of the
    packed Pluecker maps (24: six a frame, four frames a latent).
    """

    config: Any  # pyright: ignore - diffusers types it as a plain dict
    _gradient_checkpointing_func: Any
    _no_split_modules = ["Video4SpatialTransformerBlock"]  # noqa: RUF012 - diffusers declares these as plain lists
    _repeated_blocks = ["Video4SpatialTransformerBlock"]  # noqa: RUF012
    _keep_in_fp32_modules = [*WanTransformer3DModel._keep_in_fp32_modules, "time_proj"]  # noqa: RUF012
    _skip_layerwise_casting_patterns = [  # noqa: RUF012
        *WanTransformer3DModel._skip_layerwise_casting_patterns,
        "camera_embedding",
    ]
    _cp_plan = {  # noqa: RUF012
        "rope": {i: ContextParallelInput(split_dim=1, expected_dims=4, split_output=True) for i in (0, 1)},
        "token_frame": {0: ContextParallelInput(split_dim=0, expected_dims=1, split_output=True)},
        "blocks.0": {"hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False)},
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] | list[int] = (1, 2, 2),  # a list where it comes from config.json
        num_attention_heads: int = 24,
        attention_head_dim: int = 128,
        in_channels: int = 48,
        out_channels: int = 48,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 14336,
        num_layers: int = 30,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        camera_channels: int = 24,
    ) -> None:
        patch_size = tuple(patch_size)
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=0,
            cross_attn_norm=cross_attn_norm,
            qk_norm=qk_norm,
            eps=eps,
            image_dim=image_dim,
            added_kv_proj_dim=added_kv_proj_dim,
            rope_max_seq_len=rope_max_seq_len,
            pos_embed_seq_len=pos_embed_seq_len,
        )
        self.register_to_config(num_layers=num_layers)
        width = num_attention_heads * attention_head_dim
        self.rope = SparseRotaryPosEmbed(attention_head_dim, patch_size, rope_max_seq_len)  # pyright: ignore
        self.blocks = nn.ModuleList(
            Video4SpatialTransformerBlock(
                width, ffn_dim, num_attention_heads, qk_norm or "", cross_attn_norm, eps, added_kv_proj_dim
            )
            for _ in range(num_layers)
        )
        block: Any
        for block in self.blocks:
            block.attn1.set_processor(ContextAttnProcessor())
            for attention in (block.attn1, block.attn2):
                attention.norm_q = QueryKeyNorm.in_place_of(attention.norm_q)
                attention.norm_k = QueryKeyNorm.in_place_of(attention.norm_k)
        self.token_frame = TokenFrame()
        self.camera_embedding = nn.Conv3d(camera_channels, width, patch_size, patch_size, bias=False)  # pyright: ignore
        nn.init.zeros_(self.camera_embedding.weight)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """Load ours or a stock Wan checkpoint; a camera embedding that the checkpoint lacks starts at zero.

        Raises:
            InputError: any other tensor of a local folder is missing, left over or of another shape.
        """
        folder = Path(pretrained_model_name_or_path, kwargs.get("subfolder") or "")
        if folder.is_dir():
            require_part(cls, folder, optional=[CAMERA_KEY])
        loaded = super().from_pretrained(pretrained_model_name_or_path, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).materialise_camera_embedding()
        return loaded

    def materialise_camera_embedding(self) -> "Video4SpatialTransformer3DModel":
        """Stock checkpoints lack this key and diffusers leaves it on the meta device: put zeros there."""
        weight = self.camera_embedding.weight
        if weight.is_meta:
            device = self.patch_embedding.weight.device
            zeros = torch.zeros(weight.shape, dtype=self.patch_embedding.weight.dtype, device=device)
            self.camera_embedding.weight = nn.Parameter(zeros, requires_grad=weight.requires_grad)
        return self

    def embed_time(self, timestep: Float[Tensor, "B F"]) -> tuple[Float[Tensor, "B F D"], Float[Tensor, "B F 6 D"]]:
        """Time embedding and modulation, both float32.

        The time MLP runs on one row a frame, from float32 timesteps: in bfloat16 they would be off by 10 %. Autocast
        is off for it, so that training modulates as sampling does.
        """
        conditions = self.condition_embedder
        with without_autocast(timestep.device):
            time = conditions.timesteps_proj(timestep.flatten()).unflatten(0, timestep.shape)
            embedder = conditions.time_embedder
            temb = embedder(time.to(embedder.linear_1.weight.dtype)).float()
            modulation = conditions.time_proj(conditions.act_fn(temb).to(conditions.time_proj.weight.dtype)).float()
        return temb, modulation.unflatten(2, (6, -1))

    @apply_lora_scale("attention_kwargs")
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        hidden_states: Float[Tensor, "B C F h w"],
        timestep: Float[Tensor, " B"] | Float[Tensor, "B F"],
        encoder_hidden_states: Float[Tensor, "B L D"],
        frame_index: Int[Tensor, "*batch F"] | None = None,
        camera: Float[Tensor, "B K F h w"] | None = None,
        attention_mask: Bool[Tensor, "..."] | None = None,
        context_frames: int = 0,
        context_attention: Literal["joint", "causal"] = "joint",
        context_cache: ContextCache | None = None,
        block_cache: BranchBlockCache | None = None,
        steady: Steady | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predict the velocity of every latent frame; the caller keeps the target's.

        Args:
            hidden_states: normalised latents, context first.
            timestep: in [0, 1000], one a sample or one a latent frame (0 for clean frames).
            encoder_hidden_states: text embeddings.
            frame_index: temporal RoPE index of each latent frame, ``[F]`` or ``[B, F]``; default 0, 1, 2, ...
            camera: packed Pluecker maps on the latent grid times the patch (``model.instruction``); zero where a frame
                has no pose.
            attention_mask: what may attend to what in self-attention, broadcast to ``[B, heads, N, N]``.
            context_frames: how many of the leading frames are context; only what follows needs to know.
            context_attention: "joint": all attends to all; "causal": context attends to context only.
            context_cache: see ``attention.py``; a pass over the context alone fills it, passes over the target read it.
            block_cache: see ``block_cache.py``; what it returns for context frames is of no use.
            steady: of this clip and branch; text and indices must be those it was first used with.

        Returns:
            velocity, in the shape of ``hidden_states``.

        Raises:
            InputError: causal context or a cache under context parallelism, which gives each process a part of the
                sequence that knows nothing of where the context ends.
        """
        frames = hidden_states.shape[2]
        _, rows, columns = (hidden_states.shape[i + 2] // p for i, p in enumerate(self.config.patch_size))
        context_tokens = context_frames * rows * columns
        causal_tokens = context_tokens if context_attention == "causal" else 0
        if self._parallel_config is not None and (causal_tokens or context_cache or block_cache):
            raise InputError("context parallelism needs context_attention joint, no cached context and no block-cache")
        steady = Steady() if steady is None else steady
        rotary_emb = steady.once("rotary_emb", lambda: self.rope(hidden_states, frame_index))
        text = steady.once("text", lambda: self.condition_embedder.text_embedder(encoder_hidden_states))
        x = self.patch_embedding(hidden_states)
        if camera is not None:
            x = x + self.camera_embedding(camera.to(x.dtype))
        x = rearrange(x, "b d f h w -> b (f h w) d").contiguous()

        timestep = timestep if timestep.ndim == 2 else timestep[:, None]
        temb, modulation = self.embed_time(timestep)
        token_frame = self._token_frame(frames, rows * columns, timestep.shape[1])

        def run(number: int, x: Tensor) -> Tensor:
            block = self.blocks[number]
            layer = None if context_cache is None else context_cache.layer(number)
            args = (x, text, modulation, rotary_emb, token_frame, attention_mask, layer, causal_tokens)
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                return self._gradient_checkpointing_func(block, *args)
            return block(*args)

        def rest(x: Tensor) -> Tensor:
            for number in range(1, len(self.blocks)):
                x = run(number, x)
            return x

        if block_cache is None:
            for number in range(len(self.blocks)):  # here, and not in `rest`: the embedded tokens need not be kept
                x = run(number, x)
        else:
            x = block_cache.through(x, lambda x: run(0, x), rest, context_tokens)

        shift, scale = (self.scale_shift_table[:, None] + temb[:, :, None]).unbind(2)
        spread = FrameModulation(x, temb.shape[1], token_frame)
        x = self.proj_out(spread.scale_shift(self.norm_out(x.float()), scale, shift).type_as(x))
        pt, ph, pw = self.config.patch_size
        x = rearrange(
            x,
            "b (f h w) (pt ph pw c) -> b c (f pt) (h ph) (w pw)",
            h=rows,
            w=columns,
            pt=pt,
            ph=ph,
            pw=pw,
        )
        return Transformer2DModelOutput(sample=x) if return_dict else (x,)

    def _token_frame(self, frames: int, tokens_a_frame: int, timesteps: int) -> Tensor | None:
        """The token-to-frame map, under context parallelism only."""
        if self._parallel_config is None:
            return None
        numbers = torch.arange(frames, device=self.patch_embedding.weight.device).repeat_interleave(tokens_a_frame)
        numbers = self.token_frame(numbers)
        return torch.zeros_like(numbers) if timesteps == 1 else numbers
