"""A ScanNet++ release on disk: its splits, its scenes, and what is listed but not there.

``splits/<split>.txt`` has one scene id a line (ten hexadecimal digits); scenes lie in ``data/<scene_id>``.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from video4spatial.data.scannetpp.dslr import ScanNetPPPhotos
from video4spatial.data.scannetpp.scene import ScanNetPPOptions, ScanNetPPScene
from video4spatial.data.scene import BadScene
from video4spatial.schema import InputError

_SCENE_ID = re.compile(r"[0-9a-f]{10}", re.ASCII)


class ScanNetPP:
    """The release at ``root``, the folder that holds ``data`` and ``splits``; no scene is read yet.

    ``scene_ids`` are those on disk. Raises ``InputError`` if ``root`` has no ``data``.
    """

    def __init__(self, root: str | Path, options: ScanNetPPOptions | None = None) -> None:
        self.root, self.options = Path(root), options
        if not (self.root / "data").is_dir():
            raise InputError(f"{root} has no folder data: give the folder that holds data/ and splits/")
        folders = (path for path in (self.root / "data").iterdir() if path.is_dir())
        self.scene_ids = sorted(path.name for path in folders if _SCENE_ID.fullmatch(path.name))

    @property
    def splits(self) -> list[str]:
        """The names of the split files, e.g. nvs_sem_train, nvs_sem_val."""
        return sorted(path.stem for path in (self.root / "splits").glob("*.txt") if not path.name.startswith("."))

    def split(self, name: str) -> list[str]:
        """The ids that ``splits/<name>.txt`` lists, in its order, on disk or not.

        Raises:
            InputError: there is no such split, or a line is no scene id.
        """
        path = self.root / "splits" / f"{name}.txt"
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise InputError(f"{path} does not exist: choose a split of {self.root / 'splits'} ({known})")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (UnicodeDecodeError, OSError):
            raise InputError(f"{path} cannot be read as text: fetch it again") from None
        ids: dict[str, None] = {}
        for number, line in enumerate(lines, 1):
            word = line.strip()
            if word and not _SCENE_ID.fullmatch(word):
                raise InputError(f"{path}, line {number}: {word!r} is not a scene id of ten hexadecimal digits")
            if word:
                ids[word] = None
        if not ids:
            raise InputError(f"{path} lists no scenes: fetch it again")
        return list(ids)

    def absent(self, split: str) -> list[str]:
        """The ids that a split lists but that are not on disk."""
        here = set(self.scene_ids)
        return [scene_id for scene_id in self.split(split) if scene_id not in here]

    def open(self, scene_id: str) -> ScanNetPPScene:
        """The iPhone's video of a scene. Raises ``BadScene`` if it is not on disk or cannot be used."""
        return ScanNetPPScene(self._folder(scene_id), self.options)

    def open_photos(self, scene_id: str) -> ScanNetPPPhotos:
        """The DSLR photographs of a scene. Raises ``BadScene`` if they are not on disk or cannot be used."""
        return ScanNetPPPhotos(self._folder(scene_id), self.options is None or self.options.objects)

    def scenes(
        self, split: str | None = None, on_bad: Callable[[str, BadScene], None] | None = None
    ) -> Iterator[ScanNetPPScene]:
        """The scenes of a split (None: all on disk), opened one at a time.

        One that is absent or bad is given to ``on_bad`` with its id, and the next is opened; without ``on_bad`` its
        ``BadScene`` is raised.
        """
        for scene_id in self.scene_ids if split is None else self.split(split):
            try:
                scene = self.open(scene_id)
            except BadScene as bad:
                if on_bad is None:
                    raise
                on_bad(scene_id, bad)
                continue
            yield scene

    def _folder(self, scene_id: str) -> Path:
        folder = self.root / "data" / scene_id
        if not _SCENE_ID.fullmatch(scene_id) or not folder.is_dir():
            raise BadScene(f"scene {scene_id}: {folder} is not on disk: fetch it, or leave the scene out")
        return folder
