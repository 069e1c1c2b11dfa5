"""What is asked of a pipeline, and the sizes of its parts: all that a plan needs to know."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from video4spatial.model.cost.text import TextShape
from video4spatial.model.cost.transformer import FRAMES_A_LATENT, SequenceShape, TransformerShape, weight_bytes
from video4spatial.model.cost.vae import VaeShape
from video4spatial.schema import InputError, require_4k_plus_1, require_size
from video4spatial.storage.artifacts import read_json

HALVED_FROM = 2e9  # bytes of float32 weights from which a transformer is loaded in bfloat16 on a GPU


@dataclass(frozen=True)
class Models:
    """The sizes of a pipeline's parts; defaults are Wan2.2-TI2V-5B's. The VAE is computed in ``vae_dtype``."""

    transformer: TransformerShape = field(default_factory=TransformerShape)
    vae: VaeShape = field(default_factory=VaeShape)
    text: TextShape = field(default_factory=TextShape)
    dtype: str = "bfloat16"
    vae_dtype: str = "float32"
    text_tokens: int = 512

    @classmethod
    def in_folder(cls, folder: Path, on_gpu: bool = True) -> "Models":
        """The sizes that a pipeline folder's config files tell, its weights unread."""
        parts: Any = {name: read_json(folder / name / "config.json") for name in ("transformer", "vae", "text_encoder")}
        tokenizer: Any = read_json(folder / "tokenizer" / "tokenizer_config.json")
        transformer = TransformerShape.from_config(parts["transformer"])
        halved = on_gpu and weight_bytes(transformer, 4) > HALVED_FROM
        return cls(
            transformer,
            VaeShape.from_config(parts["vae"]),
            TextShape.from_config(SimpleNamespace(**parts["text_encoder"])),
            "bfloat16" if halved else "float32",
            text_tokens=int(min(512, tokenizer.get("model_max_length", 512))),
        )

    @classmethod
    def of(cls, pipeline: Any) -> "Models":
        """The sizes and precisions of a loaded pipeline."""
        return cls(
            TransformerShape.from_config(pipeline.transformer.config),
            VaeShape.from_config(pipeline.vae.config),
            TextShape.from_config(pipeline.text_encoder.config),
            str(pipeline.transformer.dtype).removeprefix("torch."),
            str(pipeline.vae.dtype).removeprefix("torch."),
            min(512, int(pipeline.tokenizer.model_max_length)),
        )


@dataclass(frozen=True)
class Request:
    """One clip to be made, and how; defaults are the paper's. Sampling's and Placement's fields have their names.

    Attributes:
        context_frames: length of the context video (it is encoded whole).
        context_latents: how many of its latents are looked at.
        frames: length of the clip, box tail included.
        guides: whether there is a null branch.
        shift: of the noise levels, to count the steps inside ``guidance_interval``.
    """

    width: int = 416
    height: int = 256
    context_frames: int = 337
    context_latents: int = 84
    frames: int = 181
    steps: int = 50
    guides: bool = True
    shift: float = 5.0
    branches: Literal["batched", "sequential"] = "batched"
    guidance_interval: tuple[float, float] | None = None
    block_cache: float | None = None
    context_attention: Literal["joint", "causal"] | None = None
    null_context: Literal["noise", "none"] | None = None
    offload: Literal["none", "model", "group"] = "none"
    weights: Literal["as-is", "int8", "fp8", "fp8-matmul"] = "as-is"
    release_text_encoder: bool = True
    compile: bool = False
    attention: str = "auto"

    @classmethod
    def of(cls, config: Any, *settings: Any, **values: Any) -> "Request":
        """With a pipeline's defaults (its ``config``), then the like-named fields of ``settings``, then ``values``.

        ``settings`` are a Sampling and a Placement; None among them, and None among ``values``, says nothing.
        """
        names = {f.name for f in fields(cls)}
        config = dict(config)
        chosen = {name: config[name] for name in ("width", "height", "frames", "context_latents", "steps")}
        for part in settings:
            chosen |= {f.name: getattr(part, f.name) for f in fields(part) if f.name in names} if part else {}
        for name in ("context_attention", "null_context"):  # as the model was trained, if nothing else is asked for
            chosen[name] = chosen.get(name) or config.get(name)
        return cls(**chosen | {name: value for name, value in values.items() if value is not None})

    def __post_init__(self) -> None:
        require_size(self.width, self.height)
        require_4k_plus_1(self.frames)
        for name, least in (("steps", 1), ("context_latents", 0), ("context_frames", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name.replace('_', '-')} is {getattr(self, name)}: give at least {least}")

    @property
    def target_latents(self) -> int:
        """Latent frames of the clip, box tail included."""
        return (self.frames - 1) // FRAMES_A_LATENT + 1

    @property
    def causal(self) -> bool:
        """Whether context attends to context only, so that it is computed once."""
        return self.context_attention == "causal" and self.context_latents > 0

    @property
    def shortened(self) -> bool:
        """Whether the null branch goes without context tokens."""
        return self.guides and self.null_context == "none" and self.context_latents > 0

    @property
    def batch(self) -> int:
        """Sequences in one forward pass."""
        return 2 if self.guides and self.branches == "batched" and not self.shortened else 1

    def sequence(self, context: int, text: int) -> SequenceShape:
        """The sequence of one branch, with so many context latents and text tokens."""
        return SequenceShape(context, self.target_latents, self.width, self.height, text)

    def guided_steps(self) -> int:
        """Steps at which the null branch runs."""
        if not self.guides:
            return 0
        if self.guidance_interval is None:
            return self.steps
        low, high = self.guidance_interval
        levels = [1 - i / self.steps for i in range(self.steps)]
        sigmas = [self.shift * u / (1 + (self.shift - 1) * u) for u in levels]
        return sum(low <= sigma <= high for sigma in sigmas)
