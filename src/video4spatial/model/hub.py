"""Models by their names on the hub."""

import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

from video4spatial.schema import InputError


def is_on_hub(name: str) -> bool:
    """Whether ``name`` is meant as one of the hub's ("owner/model") and not as a folder."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) is not None and not Path(name).parent.exists()


def fetched(name: str, patterns: list[str]) -> Path:
    """The local copy of what a model on the hub has under these names."""
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (RepositoryNotFoundError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{name} is not a folder here and could not be downloaded ({reason}): go online, or download it elsewhere "
            "and give the folder"
        ) from None
