# What this project uses of transformers. Its own types make pyright read every model it has: minutes, and 1.5 GB.
from typing import Any

from torch import nn

class PreTrainedTokenizerBase:
    unk_token_id: int | None
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __len__(self) -> int: ...
    def __getattr__(self, name: str) -> Any: ...

class PreTrainedTokenizerFast(PreTrainedTokenizerBase):
    def __init__(self, **kwargs: Any) -> None: ...

class UMT5Config:
    d_model: int
    def __init__(self, **kwargs: Any) -> None: ...

class UMT5EncoderModel(nn.Module):
    config: UMT5Config
    def __init__(self, config: UMT5Config) -> None: ...
    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> UMT5EncoderModel: ...

AutoTokenizer: Any
AutoProcessor: Any
AutoModelForImageTextToText: Any
