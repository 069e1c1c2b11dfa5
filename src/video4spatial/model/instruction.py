"""Sentences as the transformer takes them. (A camera path's Pluecker maps: ``geometry.camera_maps``.)"""

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from video4spatial.schema import InputError

MAX_TOKENS = 512


LITTLE_WORDS = {"a", "an", "the", "of", "and", "with", "in", "on", "to"}


def require_known_words(tokenizer: Any, text: str, option: str = "instruction") -> list[str]:
    """The words of ``text`` that the tokenizer does not know, if it knows others.

    Raises:
        InputError: ``text`` is empty, or none of its words is in the vocabulary (those known are then listed).
    """
    words = re.findall(r"[^\W\d_]+", text.lower())
    if not words:
        raise InputError(f"{option} is empty: name an object, for example 'the red armchair'")
    content = [word for word in words if word not in LITTLE_WORDS] or words
    unknown = [word for word in content if tokenizer.unk_token_id is not None and not _is_known(tokenizer, word)]
    if len(unknown) < len(content):
        return unknown
    known = sorted(word for word in tokenizer.get_vocab() if word.isalpha())
    raise InputError(f"{option} {text!r}: this model knows none of these words. It knows: {', '.join(known[:400])}")


def _is_known(tokenizer: Any, word: str) -> bool:
    return tokenizer.unk_token_id not in tokenizer(word, add_special_tokens=False).input_ids


@torch.no_grad()
def encode_text(
    tokenizer: Any,
    text_encoder: Any,
    texts: list[str],
    max_tokens: int = MAX_TOKENS,
    device: torch.device | None = None,
) -> Float[Tensor, "B L D"]:
    """Text embeddings, zero behind each sentence's end, as Wan has them (no cross-attention mask).

    ``device``: where the encoder computes, if its weights lie elsewhere until then.
    """
    limit = min(max_tokens, getattr(tokenizer, "model_max_length", max_tokens))
    tokens = tokenizer(texts, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
    device = device or text_encoder.device
    ids, mask = tokens.input_ids.to(device), tokens.attention_mask.to(device)
    return text_encoder(ids, mask).last_hidden_state * mask[..., None]
