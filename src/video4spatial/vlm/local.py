"""A VLM in this process, through transformers: whatever class its folder names, on whatever device is at hand.

There is no constrained decoding here: the prompt asks for JSON, and the parser sees whether it came.
"""

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from video4spatial.schema import InputError
from video4spatial.vlm.question import Question, RawAnswer


class LocalVLM:
    """The image-text-to-text model in ``folder`` (or a hub id), decoded greedily, one question at a time.

    Args:
        device: ``cuda``, ``cpu``, ...
        dtype: of the weights; None: as they are stored.
        max_tokens: length limit of an answer; longer ones are ``truncated``.

    Raises:
        InputError: the folder holds no such model, or the processor needs a package that is not installed (Qwen3-VL's
            needs torchvision).
    """

    concurrency = 1

    def __init__(
        self, folder: str, *, device: str = "cpu", dtype: torch.dtype | None = None, max_tokens: int = 2048
    ) -> None:
        if max_tokens < 1:
            raise InputError(f"max_tokens is {max_tokens}: give at least 1")
        try:
            self._processor = AutoProcessor.from_pretrained(folder)
            self._model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype or "auto")
        except (OSError, ValueError, ImportError, RuntimeError) as error:
            raise InputError(
                f"{folder} cannot be loaded as a vision-language model ({str(error).strip().splitlines()[0]}): give a "
                "folder or hub id of one; Qwen's processors need torchvision of the version that goes with this torch"
            ) from error
        self._model.to(device).eval()
        self.folder, self.device, self.max_tokens = folder, device, max_tokens

    @property
    def identity(self) -> str:
        """The folder and the settings that change its answers."""
        return f"{self.folder} {self._model.dtype} greedy max_tokens={self.max_tokens}"

    @torch.inference_mode()
    def ask(self, question: Question) -> RawAnswer:
        """The answer, greedily, in whatever form the model writes it."""
        content = [{"type": "image", "image": image} for image in question.images]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": question.prompt}]}]
        inputs = self._processor.apply_chat_template(
            messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        ).to(self.device)
        generated = self._model.generate(**inputs, do_sample=False, max_new_tokens=self.max_tokens)
        written = generated[0, inputs["input_ids"].shape[1] :]
        text = self._processor.decode(written, skip_special_tokens=True)
        return RawAnswer(text, "stop" if self._ended(written) else "length")

    def _ended(self, written: torch.Tensor) -> bool:
        ends = self._model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else ends or []
        return bool(len(written)) and int(written[-1]) in ends
