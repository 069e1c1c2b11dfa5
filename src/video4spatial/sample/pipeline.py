"""``Video4SpatialPipeline``: a walk-through video and an instruction in, a video of the same place out."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan, DiffusionPipeline, UniPCMultistepScheduler
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase, UMT5EncoderModel

from video4spatial.geometry.boxes import read_box_tail
from video4spatial.geometry.camera_maps import camera_maps
from video4spatial.geometry.paths import preset, resample
from video4spatial.geometry.poses import relative_to, require_rigid
from video4spatial.model.context import CONTEXT_GAP
from video4spatial.model.diffusers_internals import borrowed, offload
from video4spatial.model.instruction import encode_text, require_known_words
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import resolve_model
from video4spatial.model.lora import LoraMethods
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.sample.denoise import StepCallback, denoise
from video4spatial.sample.from_wan import WanParts, require_pipeline
from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity
from video4spatial.sample.modes import Sampling, modes_in, not_trained_for
from video4spatial.sample.session import (
    ContextChoice,
    ContextStream,
    EncodedScene,
    Progress,
    Result,
    encode_scene,
    load_first_frame,
    seeded,
)
from video4spatial.schema import (
    CameraPath,
    Clip,
    Found,
    InputError,
    Intrinsics,
    grounding_sentence,
    require_4k_plus_1,
    require_size,
)

TEXTS_KEPT = 64  # 4 MB each with UMT5-XXL


class Video4SpatialPipeline(LoraMethods, DiffusionPipeline):
    """Context-guided video generation (paper, Sections 3.2 to 3.4).

    The defaults that belong to a model (its size, clip length, rate, lens) are kept in its folder's model_index.json.

    Args:
        context_gap: RoPE indices between context and target.
        width, height, fps, fov: what the model was trained on; ``fov`` is the horizontal field of view in degrees that
            camera presets and paths without intrinsics assume.
        frames, tail_frames: default clip length, box tail included, and the tail's length.
        context_latents, steps, guidance: default sampling settings.
        navigation_guidance: the guidance scale of navigation, where it is not that of grounding.
        context_attention, null_context: what the model was trained with (``sample/modes.py``).
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    if TYPE_CHECKING:  # diffusers declares these too narrowly, or not at all
        config: Any
        progress_bar: Any
        tokenizer: Any
        text_encoder: Any
        vae: Any
        scheduler: Any
        transformer: Any

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: UMT5EncoderModel,
        vae: AutoencoderKLWan,
        scheduler: UniPCMultistepScheduler,
        transformer: Video4SpatialTransformer3DModel,
        context_gap: int = CONTEXT_GAP,
        width: int = 416,
        height: int = 256,
        fps: float = 24.0,
        fov: float = 72.0,
        frames: int = 181,
        tail_frames: int = 20,
        context_latents: int = 84,
        steps: int = 50,
        guidance: float = 5.0,
        navigation_guidance: float | None = None,
        context_attention: str = "joint",
        null_context: str = "noise",
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, scheduler=scheduler, transformer=transformer
        )
        self.register_to_config(
            context_gap=context_gap,
            width=width,
            height=height,
            fps=fps,
            fov=fov,
            frames=frames,
            tail_frames=tail_frames,
            context_latents=context_latents,
            steps=steps,
            guidance=guidance,
            navigation_guidance=navigation_guidance,
            context_attention=context_attention,
            null_context=null_context,
        )
        self.placement: Any = None  # what sample.placement.place has applied
        self._texts: dict[str, Tensor] = {}  # embeddings, on the CPU: see embed_texts
        self._texts_of: Any = None

    @classmethod
    def from_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, pretrained_model_name_or_path: str | Path, **kwargs: Any
    ) -> "Video4SpatialPipeline":
        """Load a shipped model by name ("rooms-small"), or a folder that ``save_pretrained`` wrote.

        Transformers and text encoders stored in bfloat16 stay so, all else is held in float32, unless ``torch_dtype``
        says otherwise.

        Raises:
            InputError: there is no such model, or its weights are not whole.
        """
        folder = resolve_model(pretrained_model_name_or_path)
        kwargs.setdefault("torch_dtype", require_pipeline(folder, kwargs))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch_dtype.*")
            return super().from_pretrained(str(folder), local_files_only=True, **kwargs)

    @classmethod
    def from_wan(
        cls,
        source: str | Path,
        *,
        transformer: Any = None,
        vae: Any = None,
        text_encoder: Any = None,
        tokenizer: Any = None,
        torch_dtype: torch.dtype = torch.bfloat16,
        **settings: Any,
    ) -> "Video4SpatialPipeline":
        """A stock Wan2.2-TI2V-5B as our pipeline: a zero camera embedding, and the paper's settings.

        Args:
            source: a folder in diffusers or official layout, or a hub id.
            transformer, vae, text_encoder, tokenizer: a part from elsewhere: folder, file, or module.
            torch_dtype: of transformer and text encoder; the VAE is always float32, as Wan runs it.
            settings: what differs from the defaults of this class (``width``, ``frames``, ...).

        Raises:
            InputError: see ``sample.from_wan.WanParts``.
        """
        replaced = {"transformer": transformer, "vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer}
        return cls(**WanParts(source, torch_dtype, **replaced).load_all(), **settings)

    @property
    def codec(self) -> LatentCodec:
        """Between frames and this model's normalised latents."""
        return LatentCodec(self.vae)

    @property
    def intrinsics(self) -> Intrinsics:
        """The lens assumed where a camera path brings none."""
        return Intrinsics.from_horizontal_fov(self.config.fov, self.config.width, self.config.height)

    def encode_context(
        self,
        video: str | Path | Clip | np.ndarray,
        first_frame: str | Path | np.ndarray | None = None,
        width: int | None = None,
        height: int | None = None,
        on_progress: Progress | None = None,
    ) -> EncodedScene:
        """Encode a walk-through once; ask the result as often as you like.

        Reading, thinning, resizing and encoding go frame by frame, so that the video may be long.

        Args:
            video: a video file, a folder of images, a ``Clip``, or uint8 ``[T, H, W, 3]`` frames at the model's rate.
            first_frame: where the generated clip starts; the video's last frame unless given.
            width, height: other than the model's own size (both must divide by 32).
            on_progress: called with (frames encoded, frames in all).

        Raises:
            InputError: unreadable or shorter than 5 frames at the model's rate; a size that does not fit.
        """
        width = int(self.config.width) if width is None else width
        height = int(self.config.height) if height is None else height
        require_size(width, height)
        frames = ContextStream(video, width, height, self.config.fps)
        first = None if first_frame is None else load_first_frame(first_frame, width, height)
        with borrowed(self.vae):
            return encode_scene(frames, self.codec, first, on_progress)

    @torch.no_grad()
    def __call__(
        self,
        scene: EncodedScene,
        instruction: str | None = None,
        path: CameraPath | str | None = None,
        *,
        scene_description: str | None = None,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | Guidance | None = None,
        context_latents: int | None = None,
        context_choice: ContextChoice = "uniform",
        frames: int | None = None,
        vanilla_rope: bool = False,
        sampling: Sampling | None = None,
        on_step: StepCallback | None = None,
    ) -> Result:
        """Ground an object or follow a camera path, in the place that ``scene`` shows.

        Args:
            scene: from ``encode_context``.
            instruction: the object to go to, "the red armchair"; or
            path: the camera path to follow: a ``CameraPath`` (made relative to its first pose, resampled to the clip's
                length) or the name of a preset.
            scene_description: "a bedroom with two windows", for the instruction's sentence.
            seed: one seed, one clip.
            guidance: scale of joint guidance, or a ``Guidance`` (ablations).
            context_latents: how many latents of the scene to look at; 0 is the first frame only.
            context_choice: spread evenly over it, or one contiguous run (an ablation), where ``seed`` says.
            frames: clip length, 4k + 1; for grounding it includes the box tail.
            vanilla_rope: contiguous indices over the whole sequence (an ablation).
            sampling: exact unless given: what is computed in which order, and the faster modes.
            on_step: called with (steps done, steps, latents) after each step; raise in it to stop.

        Raises:
            InputError: neither or both of ``instruction`` and ``path``, a value out of range, or modes that do not fit.
        """
        if (instruction is None) == (path is None):
            raise InputError("give either an instruction (ground) or a camera path (navigate), not both or neither")
        frames = require_4k_plus_1(int(self.config.frames) if frames is None else frames)
        if frames < 5 + (self.config.tail_frames if instruction is not None else 0):
            raise InputError(f"frames is {frames}: too short for a clip (with its box tail); use {self.config.frames}")
        steps = steps if steps is not None else int(self.config.steps)
        if steps < 1:
            raise InputError(f"steps is {steps}: give at least 1 (the default is {self.config.steps})")
        if guidance is None or not isinstance(guidance, Guidance):
            guidance = Guidance(self.default_guidance(path is not None) if guidance is None else guidance)
        trained = self.trained_sampling
        sampling = (sampling or Sampling()).resolve(guidance.guides, guidance.mode, trained)
        wanted = context_latents if context_latents is not None else int(self.config.context_latents)
        generator = seeded(seed)
        context, index = scene.context(wanted, context_choice, seed)
        height, width = scene.first_frame.shape[:2]

        text, unknown = "", []
        if instruction is not None:
            unknown = require_known_words(self.tokenizer, instruction)
            described = {} if scene_description is None else {"scene": scene_description}
            text = grounding_sentence(instruction.strip(), **described)
        camera = torch.zeros(1, 24, (frames - 1) // 4 + 1, *context.shape[2:])
        if path is not None:
            camera = torch.as_tensor(camera_maps(self.resolve_path(path, frames), width, height))[None]

        texts = self.embed_texts([text, ""])
        device, dtype = self._execution_device, self.transformer.dtype
        conditions = Conditions(
            context=context[None].to(device, dtype),
            context_index=index[None].to(device),
            context_noise=torch.randn(context[None].shape, generator=generator).to(device, dtype),
            text=texts[:1].to(device, dtype),
            null_text=texts[1:].to(device, dtype),
            camera=camera.to(device, dtype),
            gap=self.config.context_gap,
            vanilla_rope=vanilla_rope,
        )
        first = scene.first[None].to(device, dtype)
        noise = torch.randn(1, first.shape[1], *camera.shape[2:], generator=generator).to(device, dtype)
        velocity = GuidedVelocity(self.transformer, conditions, guidance, sampling)
        bar = self.progress_bar(total=steps)
        latents = denoise(self.scheduler, velocity, noise, first, steps, on_step, bar)
        weights = "as-is" if self.placement is None else self.placement.weights
        settings = {
            "seed": seed,
            "steps": steps,
            "guidance": guidance.scale,
            "guidance_mode": guidance.mode,
            "context_latents": len(index),
            "context_choice": context_choice,
            "context_index": index.tolist(),
            "branches": "batched" if velocity.batched else "sequential",
            "modes": modes_in(sampling, steps, int(self.config.steps), weights),
            "not_trained_for": not_trained_for(sampling, trained),
        }
        del velocity  # and its caches: room for the VAE
        with borrowed(self.vae):
            clip = self.codec.decode(latents[0])
        if instruction is None:
            return Result(clip, scene.fps, "navigate", settings)
        told = {"sentence": text, "unknown_words": unknown}
        return Result(clip, scene.fps, "ground", settings | told, self._read_answer(clip, instruction))

    def embed_texts(self, texts: list[str]) -> Float[Tensor, "B L D"]:
        """Text embeddings, on the CPU. Each sentence is encoded once, by itself, and remembered.

        Where the placement keeps the text encoder off the device, it comes for this and the transformer makes room.
        """
        if self._texts_of is not self.text_encoder:
            self._texts, self._texts_of = {}, self.text_encoder
        missing = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if missing:
            offload(self.transformer)
            with borrowed(self.text_encoder):
                for text in missing:
                    one = encode_text(self.tokenizer, self.text_encoder, [text], device=self._execution_device)
                    self._texts[text] = one.cpu()
        found = torch.cat([self._texts[text] for text in texts])
        while len(self._texts) > TEXTS_KEPT:
            del self._texts[next(iter(self._texts))]
        return found

    def default_guidance(self, navigates: bool) -> float:
        """The model's own guidance scale for the task."""
        own = self.config.navigation_guidance if navigates else None
        return float(self.config.guidance if own is None else own)

    @property
    def trained_sampling(self) -> Sampling:
        """The context attention and the null context that the model was trained with."""
        return Sampling(context_attention=self.config.context_attention, null_context=self.config.null_context)

    def resolve_path(self, path: CameraPath | str, frames: int) -> CameraPath:
        """A preset's name or a path, as ``frames`` poses relative to the first.

        Raises:
            InputError: an unknown preset, or poses that are not rigid.
        """
        if isinstance(path, str):
            return CameraPath(preset(path, frames), self.intrinsics)
        require_rigid(path.c2w, "the camera path")
        c2w = path.c2w if len(path) == frames else resample(path.c2w, frames)
        return CameraPath(relative_to(c2w, 0), path.intrinsics)

    def _read_answer(self, clip: np.ndarray, label: str) -> Found | None:
        """The red box of the clip's tail; None when no box can be read."""
        read = read_box_tail(clip, self.config.tail_frames)
        if read is None:
            return None
        box, confidence = read
        return Found(box, len(clip) - 1, label.strip(), confidence)
