"""A process of its own: a tiny random Qwen3-VL of the real classes is made and asked through the local back end.

Qwen3VLProcessor needs torchvision, whose PyPI wheel is linked to CUDA: beside a CPU torch its import fails for want of
the operators ``nms`` and ``qnms``, and takes diffusers along. So it is not among what the tests install; it lies in
``<prefix>/torchvision``, out of everyone's way, and only this process looks there, with the two operators declared.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import torch

APART = Path(sys.prefix) / "torchvision"


def with_torchvision() -> None:
    """Make torchvision importable, whichever build it is."""
    if importlib.util.find_spec("torchvision") is None:
        sys.path.append(str(APART))
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        importlib.import_module("torchvision")

        globals()["_kept"] = library  # the operators live as long as it does


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
SPECIAL += ["<|video_pad|>"]


def make(folder: Path) -> None:
    """Write a random Qwen3-VL of a few thousand weights and its processor."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import (
        AutoModelForImageTextToText,
        PreTrainedTokenizerFast,
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    bytes_only = ByteLevelBPETokenizer()
    bytes_only.train_from_iterator([""], vocab_size=256 + len(SPECIAL), special_tokens=SPECIAL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only._tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    size = {"shortest_edge": 32 * 32, "longest_edge": 256 * 256}
    parts = (
        Qwen2VLImageProcessor(patch_size=16, merge_size=2, size=size),
        tokenizer,
        Qwen3VLVideoProcessor(patch_size=16, merge_size=2),
    )
    Qwen3VLProcessor(*parts, chat_template=CHAT).save_pretrained(folder)
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIAL}
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "vocab_size": len(tokenizer),
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True},
            "rope_theta": 10000.0,
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "depth": 2,
            "num_heads": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "patch_size": 16,
            "spatial_merge_size": 2,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)
    with torch.no_grad():  # as initialised, it says the same whatever it is shown
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(12)
    model.generation_config.eos_token_id = ids["<|im_end|>"]
    model.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)


def main(folder: Path) -> None:
    """Ask it both questions twice, and print what it said, as JSON, on the last line."""
    with_torchvision()
    make(folder / "model")
    import numpy as np

    from video4spatial.curate.answers import parse_description, parse_objects
    from video4spatial.curate.prompts import describe_clip, list_objects
    from video4spatial.vlm.asking import Asker
    from video4spatial.vlm.cache import AnswerCache
    from video4spatial.vlm.local import LocalVLM

    vlm = LocalVLM(str(folder / "model"), max_tokens=12)
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    questions = [list_objects(frames[0]), list_objects(frames[1]), describe_clip(frames, "chair", [1, 2, 3, 4])]
    asker = Asker(vlm, AnswerCache(folder / "answers.jsonl"))
    first = [raw for _, raw in asker.answers(questions)]
    again = [raw for _, raw in asker.answers(questions)]
    ends = vlm._model.generation_config
    silent = int(vlm._model.generate(**_inputs(vlm, questions[0]), do_sample=False, max_new_tokens=1)[0, -1])
    ends.eos_token_id = silent  # whatever it says first now ends its answer
    stopped = vlm.ask(questions[0])
    report = {
        "class": type(vlm._model).__name__,
        "texts": [raw.text for raw in first],
        "finishes": [raw.finish for raw in first],
        "outcomes": [parse_objects(first[0], 96, 64).outcome, parse_description(first[2]).outcome],
        "stopped": stopped.finish,
        "same_again": first == again,
        "asked": asker.asked,
        "remembered": asker.remembered,
    }
    print(json.dumps(report))


def _inputs(vlm, question) -> dict:
    content = [{"type": "image", "image": image} for image in question.images]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": question.prompt}]}]
    return vlm._processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
