"""Weights as files hold them: names and shapes are read from the headers and compared, only then are tensors read.

Libraries are lax here: diffusers leaves a missing tensor on the meta device or random and says so in a log line. Here
every missing, unexpected or misshapen tensor is an error that lists it, before gigabytes are read.
"""

import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from video4spatial.schema import InputError
from video4spatial.storage.artifacts import read_json

LISTED = 20  # names an error spells out, of each kind
STEMS = ("diffusion_pytorch_model", "model")  # as diffusers (and Wan itself) and transformers name their files
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Weights:
    """Named tensors of one checkpoint: shapes are known, ``read`` brings one tensor at a time.

    ``source`` is the file or folder that messages name.
    """

    source: str
    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, torch.dtype | None]
    read: Callable[[str], Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor], source: str) -> "Weights":
        shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
        return cls(source, shapes, {key: tensor.dtype for key, tensor in tensors.items()}, tensors.__getitem__)

    @property
    def main_dtype(self) -> torch.dtype | None:
        """The precision of most of the numbers."""
        counts: dict[Any, int] = {}
        for key, dtype in self.dtypes.items():
            counts[dtype] = counts.get(dtype, 0) + torch.Size(self.shapes[key]).numel()
        return max(counts, key=lambda dtype: counts[dtype], default=None)


def open_weights(path: str | Path) -> Weights:
    """A ``.safetensors`` or ``.pth`` file, or a folder with one safetensors file or shards and their index.

    Raises:
        InputError: nothing is there, or a file is truncated or corrupt; the file is named.
    """
    path = Path(path)
    if path.suffix in (".pth", ".pt") and path.is_file():
        return _pickled(path)
    if path.suffix in (".pth", ".pt", ".safetensors") and not path.exists():
        raise InputError(f"{path} is not there: give the path of a weight file")
    files = [path] if path.is_file() else _files_of_folder(path)
    handles: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, torch.dtype | None] = {}
    metadata: dict[str, str] = {}
    for file in files:
        try:
            handle: Any = safe_open(file, framework="pt")
            for key in handle.keys():  # noqa: SIM118 - not a dict
                part = handle.get_slice(key)
                handles[key], shapes[key] = handle, tuple(part.get_shape())
                dtypes[key] = DTYPES.get(part.get_dtype())
            metadata |= handle.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{file} cannot be read as safetensors ({error}): it is truncated or corrupt; copy or download it again"
            ) from None
    return Weights(str(path), shapes, dtypes, lambda key: handles[key].get_tensor(key), metadata)


def _files_of_folder(folder: Path) -> list[Path]:
    for stem in STEMS:
        index, single = folder / f"{stem}.safetensors.index.json", folder / f"{stem}.safetensors"
        if index.is_file():
            return _shards(index)
        if single.is_file():
            return [single]
    found = sorted(p.name for p in folder.glob("*.bin")) if folder.is_dir() else []
    if found:
        raise InputError(f"{folder} holds {found[0]} but no safetensors: only safetensors weights are read here")
    raise InputError(f"{folder}: no weights are there ({' or '.join(f'{stem}.safetensors' for stem in STEMS)})")


def _shards(index: Path) -> list[Path]:
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names:
        raise InputError(f"{index} has no weight_map: it is not an index of safetensors shards; copy it again")
    files = [index.parent / name for name in sorted(set(names.values()))]
    lost = [file.name for file in files if file.parent != index.parent or not file.is_file()]
    if lost:
        raise InputError(f"{index} lists {some(lost)}, not there: copy or download the missing files into the folder")
    return files


def _pickled(path: Path) -> Weights:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # bytes that are no pickle, or hold more than tensors, fail in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read as a file of plain tensors ({reason}): it is truncated, corrupt, or holds code; "
            "copy or download it again"
        ) from None
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise InputError(f"{path} does not hold tensors by name: give a checkpoint of weights alone")
    return Weights.of_tensors(tensors, str(path))


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """What a checkpoint of ``model`` (which may be on the meta device) must hold."""
    return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def require_match(expected: Shapes, found: Shapes, source: str, optional: Collection[str] = ()) -> None:
    """Raise ``InputError`` unless ``found`` has exactly the tensors of ``expected``, those in ``optional`` at most."""
    missing = [key for key in expected if key not in found and key not in optional]
    unexpected = [key for key in found if key not in expected]
    misshapen = [
        f"{key} (expected {list(shape)}, found {list(found[key])})"
        for key, shape in expected.items()
        if key in found and tuple(found[key]) != tuple(shape)
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    wrong = [f"{len(names)} {kind}: {some(names)}" for kind, names in kinds.items() if names]
    if wrong:
        raise InputError(
            f"{source} does not hold this model's weights ({len(expected)} tensors expected, {len(found)} found): "
            f"{'; '.join(wrong)}. Check that it belongs to this model (and its config.json), or copy it again"
        )


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest} more" if rest > 0 else "")


def fill(
    model: Any,
    weights: Weights,
    names: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
    optional: Collection[str] = (),
) -> None:
    """Put ``weights`` into a ``model`` on the meta device, tensor by tensor, so that one copy is all there ever is.

    Args:
        names: the stored name of each of the model's tensors; by default they are the same.
        dtype: the precision to hold; what the model's library keeps in float32 stays so. Default: as stored.
        optional: what may be missing, and then stays on the meta device.

    Raises:
        InputError: see ``require_match``.
    """
    names = {key: key for key in weights.shapes} if names is None else names
    require_match(shapes_of(model), {key: weights.shapes[s] for key, s in names.items()}, weights.source, optional)
    exact = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    if dtype == torch.bfloat16 and not isinstance(model, ModelMixin):
        exact = set()  # transformers keeps these in float32 for float16's sake only
    state = {}
    for key, stored in names.items():
        tensor = weights.read(stored)
        if dtype is not None:
            tensor = tensor.to(torch.float32 if exact & set(key.split(".")) else dtype)
        state[key] = tensor
    report = model.load_state_dict(state, strict=False, assign=True)
    assert set(report.missing_keys) <= set(optional), report.missing_keys
    assert not report.unexpected_keys, report.unexpected_keys
