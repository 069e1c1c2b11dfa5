"""Annotations without pixels: what one made from a dataset, for others who have the dataset, as Parquet or JSON lines.

A row is a grounding clip. Frames are numbered as in the source's video, boxes are in pixels of its frames, so that a
row means the same whatever size or crop a store has.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from video4spatial.schema import Box, InputError, grounding_sentence
from video4spatial.storage.artifacts import atomic_path, require_writable

SUFFIXES = (".parquet", ".jsonl")


@dataclass(frozen=True)
class ClipAnnotation:
    """One grounding clip: frames ``range(start, stop, every)`` of ``unit``'s video in the ``dataset``.

    ``video`` is the stored video it was found in (a unit may have several, where its poses have holes). The box is
    that of the target in the last frame, which is ``width`` x ``height``; ``vlm`` is who found and described it.
    """

    dataset: str
    unit: str
    video: str
    environment: str
    start: int
    stop: int
    every: int
    x0: float
    y0: float
    x1: float
    y1: float
    width: int
    height: int
    label: str
    phrase: str
    scene: str
    sentence: str
    vlm: str

    @property
    def frames(self) -> range:
        return range(self.start, self.stop, self.every)

    @property
    def box(self) -> Box:
        return Box(self.x0, self.y0, self.x1, self.y1)


_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_COLUMNS: dict[str, Any] = {field.name: field.type for field in fields(ClipAnnotation)}
SCHEMA = pa.schema([(name, _TYPES[kind]) for name, kind in _COLUMNS.items()])


def require_annotations_name(path: str | Path) -> None:
    """Raise ``InputError`` now if ``write_annotations`` could not write ``path`` later."""
    if Path(path).suffix not in SUFFIXES:
        raise InputError(f"{path}: annotations are written as {' or '.join(SUFFIXES)}: choose such a name")
    require_writable(path)


def write_annotations(path: str | Path, annotations: Iterable[ClipAnnotation]) -> int:
    """Write ``path`` (.parquet or .jsonl), whole or not at all; how many rows. The same rows, the same bytes."""
    path = Path(path)
    require_annotations_name(path)
    rows = [asdict(annotation) for annotation in annotations]
    with atomic_path(path) as temporary:
        if path.suffix == ".parquet":
            with temporary.open("wb") as file:
                pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)
        else:
            lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
            temporary.write_text("".join(lines), encoding="utf-8")
    return len(rows)


def read_annotations(path: str | Path) -> list[ClipAnnotation]:
    """The rows of a file that ``write_annotations``, or anyone who keeps its columns, wrote. More columns may be there.

    Raises:
        InputError: it is missing, damaged, not UTF-8, lacks a column, or holds a row that cannot be; names it.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: annotations are read from {' or '.join(SUFFIXES)}: choose such a file")
    if not path.is_file():
        raise InputError(f"{path} does not exist: check the path")
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    annotations = [_annotation(row, f"{path}, row {number}") for number, row in enumerate(rows, 1)]
    ends: dict[tuple[str, int], int] = {}
    for number, one in enumerate(annotations, 1):
        other = ends.setdefault((one.unit, one.frames[-1]), number)
        if other != number:
            raise InputError(
                f"{path}, rows {other} and {number} both end at frame {one.frames[-1]} of {one.unit}: remove one"
            )
    return annotations


def _parquet_rows(path: Path) -> list[dict]:
    try:
        table = pq.read_table(path)
        missing = [name for name in SCHEMA.names if name not in table.column_names]
        if missing:
            raise InputError(f"{path} has no column {', '.join(missing)}: export it again")
        return table.select(SCHEMA.names).to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} holds text that is not UTF-8 ({error.reason}): export it again") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}): fetch or export it again") from None


def _json_rows(path: Path) -> list[Any]:
    rows = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise InputError(f"{path}, line {number}: not UTF-8 (byte {error.start}): save it as UTF-8") from None
        except (ValueError, RecursionError):
            raise InputError(f"{path}, line {number}: not JSON: fetch or export it again") from None
    return rows


def _annotation(row: Any, where: str) -> ClipAnnotation:
    if not isinstance(row, dict):
        raise InputError(f"{where} is not an object of names and values: export it again")
    missing = [name for name in SCHEMA.names if name not in row]
    if missing:
        raise InputError(f"{where} has no {', '.join(missing)}: export it again")
    values = {}
    for name, kind in _COLUMNS.items():
        value = row[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"{where}: {name} is {value!r:.80}, which is not {kind.__name__}: mend it")
        values[name] = value
    one = ClipAnnotation(**values)
    if not (0 <= one.start < one.stop and one.every >= 1 and (one.stop - 1 - one.start) % one.every == 0):
        raise InputError(f"{where}: frames {one.start} to {one.stop} by {one.every} are no clip: mend it")
    if not (0 <= one.x0 < one.x1 <= one.width and 0 <= one.y0 < one.y1 <= one.height):
        raise InputError(f"{where}: the box is not inside its {one.width}x{one.height} frame: mend it")
    if one.sentence != grounding_sentence(one.phrase, one.scene):
        raise InputError(f"{where}: the sentence is not made of its phrase and scene: mend or export it again")
    return one
