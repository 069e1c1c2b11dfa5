"""The folder that ARKitScenes' download_data.py fills, its videos, visits and folds.

``raw/metadata.csv`` and ``raw/<Training|Validation>/<video_id>/``. Source: ARKitScenes DATA.md and download_data.py.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from video4spatial.data.arkitscenes.scene import ARKitOptions, ARKitScene
from video4spatial.data.arkitscenes.sky import SKY_TURNS
from video4spatial.data.scene import BadScene
from video4spatial.schema import InputError

FOLDS = ("Training", "Validation")
_NONE = {"", "na", "nan", "none"}


@dataclass(frozen=True)
class ARKitVideo:
    """A row of metadata.csv; ``visit_id`` and ``sky`` are None where it says NA."""

    video_id: str
    visit_id: str | None
    fold: str
    sky: str | None

    @property
    def environment_id(self) -> str:
        """The visit: its videos show one place, posed in one frame [I]. A video of no known visit stands alone."""
        return f"arkit-visit-{self.visit_id}" if self.visit_id else f"arkit-video-{self.video_id}"


class ARKitScenes:
    """The raw dataset at ``root`` (the download folder, or its ``raw``); nothing but metadata.csv is read.

    ``videos`` holds the rows whose folder is there, in order of their ids; ``absent`` the ids of the others. Raises
    ``InputError`` if there is no such folder, or metadata.csv is missing or cannot be understood: without it the videos
    of one visit could end up on both sides of a split.
    """

    def __init__(self, root: str | Path, options: ARKitOptions | None = None) -> None:
        self.root = Path(root) / "raw" if (Path(root) / "raw").is_dir() else Path(root)
        self.options = options
        if not any((self.root / fold).is_dir() for fold in FOLDS):
            raise InputError(f"{root} holds neither {' nor '.join(FOLDS)}: give the folder download_data.py filled")
        self.rows = _read_metadata(self.root / "metadata.csv")
        here = {path.name for fold in FOLDS for path in _folders(self.root / fold)}
        self.videos = [self.rows[video_id] for video_id in sorted(self.rows) if video_id in here]
        self.absent = sorted(self.rows.keys() - here)
        self.unlisted = sorted(here - self.rows.keys())

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[ARKitVideo]:
        return iter(self.videos)

    def open(self, video_id: str) -> ARKitScene:
        """A video as a scene.

        Raises:
            BadScene: it is not listed, not on disk, or a file of it is missing or damaged; names file and remedy.
        """
        row = self.rows.get(video_id)
        if row is None:
            raise BadScene(
                f"video {video_id} is not in {self.root / 'metadata.csv'}: its visit is unknown, leave it out"
            )
        folder = self._folder(row)
        if folder is None:
            raise BadScene(
                f"video {video_id} is listed but {self.root / row.fold / video_id} is absent: fetch it by "
                f"download_data.py raw --split {row.fold} --video_id {video_id}, or leave it out"
            )
        return ARKitScene(folder, row.environment_id, row.sky, self.options)

    def fold(self, environment_id: str) -> str:
        """The fold of an environment: Validation if any of its videos is (one visit spans both folds)."""
        folds = {row.fold for row in self.rows.values() if row.environment_id == environment_id}
        if not folds:
            raise InputError(f"{self.root / 'metadata.csv'} has no environment {environment_id}: check the name")
        return max(folds)  # "Validation" comes after "Training"

    def of_fold(self, fold: str) -> list[ARKitVideo]:
        """The videos on disk whose environment is of ``fold``: no visit is in two."""
        if fold not in FOLDS:
            raise InputError(f"there is no fold {fold!r}: choose {' or '.join(FOLDS)}")
        held_out = {row.environment_id for row in self.rows.values() if row.fold == "Validation"}
        return [row for row in self.videos if (row.environment_id in held_out) == (fold == "Validation")]

    def _folder(self, row: ARKitVideo) -> Path | None:
        places = [self.root / fold / row.video_id for fold in (row.fold, *FOLDS)]
        return next((place for place in places if place.is_dir()), None)


def _folders(fold: Path) -> list[Path]:
    return [path for path in fold.iterdir() if path.is_dir()] if fold.is_dir() else []


def _read_metadata(path: Path) -> dict[str, ARKitVideo]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror or error})"
        raise InputError(
            f"{reason}: download_data.py writes it beside the videos, it says which share a visit"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}): fetch it again") from None
    table = csv.DictReader(io.StringIO(text))
    missing = {"video_id", "visit_id", "fold"} - set(table.fieldnames or ())
    if missing:
        raise InputError(f"{path} has no column {', '.join(sorted(missing))}: fetch it again")
    rows: dict[str, ARKitVideo] = {}
    for row in table:
        where = f"{path}, line {table.line_num}"
        video = ARKitVideo(
            _id(row["video_id"], where) or "", _id(row["visit_id"], where), row["fold"] or "", _sky(row, where)
        )
        if not video.video_id or video.fold not in FOLDS:
            raise InputError(
                f"{where}: no video_id, or a fold other than {' and '.join(FOLDS)} (cut off?): fetch it again"
            )
        if rows.setdefault(video.video_id, video) != video:
            raise InputError(f"{where}: video {video.video_id} is listed twice, differently: fetch it again")
    if not rows:
        raise InputError(f"{path} lists no videos: fetch it again")
    return rows


def _id(value: str | None, where: str) -> str | None:
    """Ids are whole numbers; a table with gaps is written as floats by pandas (422203.0)."""
    word = (value or "").strip()
    if word.lower() in _NONE:
        return None
    whole = word.removesuffix(".0")
    if not whole.isascii() or not whole.isdigit():
        raise InputError(f"{where}: {word!r} is not an id: fetch metadata.csv again")
    return whole


def _sky(row: dict[str, str], where: str) -> str | None:
    word = (row.get("sky_direction") or "").strip()
    if word.lower() in _NONE:
        return None
    if word.capitalize() not in SKY_TURNS:
        raise InputError(f"{where}: sky_direction is {word!r}, not {', '.join(SKY_TURNS)} or NA: fetch it again")
    return word.capitalize()
