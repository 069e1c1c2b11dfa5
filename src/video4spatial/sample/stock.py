"""Rivals that diffusers runs: stock Wan2.2-TI2V-5B image-to-video, and FramePack. Image and sentence in, video out.

Both are diffusers' own pipelines, unaltered, loaded from a folder that is given. Neither sees the walk-through: Wan
takes one image (as in the paper), and diffusers' FramePack starts from one image too, its history empty, where the
paper gave it 105 context frames. Settings are the paper's (supplement, 6.3) unless told otherwise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, HunyuanVideoFramepackPipeline, WanImageToVideoPipeline
from jaxtyping import UInt8
from PIL import Image

from video4spatial.model.instruction import encode_text
from video4spatial.sample.session import load_first_frame, seeded
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json


@dataclass(frozen=True)
class StockModel:
    """A rival and the paper's settings for it.

    Attributes:
        pipeline: diffusers' class.
        accepts: the classes that a folder's model_index.json may name.
        multiple: what both sides divide by.
        fps: what its training videos had; the benchmark takes its videos as a whole, whatever their rate.
    """

    name: str
    pipeline: type[DiffusionPipeline]
    accepts: tuple[str, ...]
    width: int
    height: int
    frames: int
    steps: int
    guidance: float
    multiple: int
    fps: float


WAN_I2V = StockModel(
    "wan-i2v",
    WanImageToVideoPipeline,
    ("WanPipeline", "WanImageToVideoPipeline"),
    width=1280,
    height=704,
    frames=121,
    steps=50,
    guidance=5.0,
    multiple=32,
    fps=24.0,
)
FRAMEPACK = StockModel(
    "framepack",
    HunyuanVideoFramepackPipeline,
    ("HunyuanVideoFramepackPipeline",),
    width=704,
    height=544,
    frames=180,
    steps=50,
    guidance=3.0,
    multiple=16,
    fps=30.0,
)
STOCK = {model.name: model for model in (WAN_I2V, FRAMEPACK)}


class StockVideo:
    """A loaded rival. Options that are None are the paper's.

    Raises:
        InputError: no such folder, one of another pipeline, or a size or length that the model cannot make.
    """

    def __init__(
        self,
        model: StockModel,
        folder: str | Path,
        device: str = "cpu",
        dtype: torch.dtype = torch.bfloat16,
        size: tuple[int, int] | None = None,
        frames: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> None:
        self.model = model
        self.width, self.height = size or (model.width, model.height)
        self.frames = model.frames if frames is None else frames
        self.steps = model.steps if steps is None else steps
        self.guidance = model.guidance if guidance is None else guidance
        if self.width % model.multiple or self.height % model.multiple:
            raise InputError(
                f"{model.name} makes sizes that divide by {model.multiple}, not {self.width}x{self.height}"
            )
        if self.steps < 1 or self.frames < 5 or (model is WAN_I2V and self.frames % 4 != 1):
            raise InputError(
                f"{model.name}: {self.frames} frames in {self.steps} steps: give 4k+1 frames, 1 step or more"
            )
        self.pipeline = _load(model, Path(folder), dtype).to(device)
        self.pipeline.set_progress_bar_config(disable=True)

    @property
    def settings(self) -> dict[str, Any]:
        """Ready for JSON."""
        size = f"{self.width}x{self.height}"
        return {"size": size, "frames": self.frames, "steps": self.steps, "guidance": self.guidance}

    def _text(self, prompt: str) -> dict[str, Any]:
        """The prompt as the pipeline takes it. Wan's is embedded here, as diffusers does it, whose cleaning of stray
        markup and encodings would need ftfy; these sentences hold none."""
        if self.model is not WAN_I2V:
            return {"prompt": prompt}
        made: Any = self.pipeline
        embeds = encode_text(made.tokenizer, made.text_encoder, [prompt, ""], device=made._execution_device)
        return {"prompt_embeds": embeds[:1], "negative_prompt_embeds": embeds[1:]}

    @torch.no_grad()
    def __call__(
        self, first_frame: UInt8[np.ndarray, "H W 3"], prompt: str, seed: int
    ) -> UInt8[np.ndarray, "T H2 W2 3"]:
        """The clip that starts at ``first_frame`` (cropped to the model's shape and resized)."""
        image = Image.fromarray(load_first_frame(first_frame, self.width, self.height))
        made: Any = self.pipeline
        out = made(
            image=image,
            **self._text(prompt),
            width=self.width,
            height=self.height,
            num_frames=self.frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=seeded(seed),
            output_type="np",
        ).frames[0]
        return np.rint(np.clip(np.asarray(out, np.float32), 0, 1)[: self.frames] * 255).astype(np.uint8)


def _load(model: StockModel, folder: Path, dtype: torch.dtype) -> DiffusionPipeline:
    index = folder / "model_index.json"
    if not index.is_file():
        raise InputError(f"{folder} holds no model_index.json: give the folder of {model.name}'s diffusers pipeline")
    content = read_json(index)
    found = content.get("_class_name") if isinstance(content, dict) else None
    if found not in model.accepts:
        raise InputError(f"{folder} is a {found}, and {model.name} needs {' or '.join(model.accepts)}")
    try:
        return model.pipeline.from_pretrained(str(folder), local_files_only=True, torch_dtype=dtype)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder} cannot be loaded as {model.name}: {str(error).splitlines()[0]}") from None
