"""One unit of a source into the store: opened, cut into unbroken runs, each encoded and written as a shard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from video4spatial.data.runs import Run, unbroken_runs
from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import BadScene, Scene
from video4spatial.model.frozen import frozen_vae, vae_fingerprint
from video4spatial.model.latents import LatentCodec
from video4spatial.prepare.encode import encode_scene
from video4spatial.prepare.records import source_of
from video4spatial.prepare.work import UnitReport, Work
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout, write_json
from video4spatial.storage.scene_shards import SceneShards, read_rows


class Preparer:
    """Opens the source and the VAE once, then prepares units one after another; one in a process.

    Raises:
        InputError: the source or the VAE is not what the origin says (another computer may have other files).
    """

    def __init__(self, work: Work, on_frames: Callable[[int], None] | None = None) -> None:
        self.origin, self.device = work.origin, torch.device(work.device)
        self.layout = StoreLayout(Path(work.store))
        self.shards = SceneShards(work.store)
        self.source = work.origin.source(frames_only=True)
        self.codec: LatentCodec = frozen_vae(work.origin.vae)
        if vae_fingerprint(self.codec) != work.origin.fingerprint:
            raise InputError(
                f"the VAE of {work.origin.vae} is not the store's here: give every computer the same model"
            )
        self.codec.vae.to(self.device)
        self._environments = {unit.unit_id: unit.environment_id for unit in self.source.units}
        self._on_frames = on_frames

    def prepare_unit(self, unit_id: str) -> UnitReport:
        """Encode what the store lacks of a unit, and write down what became of it.

        A unit that cannot be read is reported as bad, and nothing of it is stored. Raises ``InputError`` where the
        store cannot be written: that is no fault of the scene's.
        """
        runs: list[Run] = []
        try:
            with _reading():
                scene = self.source.open(unit_id)
                remarks = list(getattr(scene, "remarks", []))
                runs = self._runs(unit_id, scene)
            encoded = [self._stored(unit_id, run) for run in runs]
        except BadScene as error:
            return self._bad(unit_id, str(error), runs)
        record = {
            "unit": unit_id,
            "environment_id": scene.environment_id,
            "outcome": "done",
            "videos": encoded,
            "remarks": remarks,
        }
        write_json(self.layout.scene(unit_id), record)
        return UnitReport(unit_id, len(encoded), sum(video["frames"] for video in encoded))

    def _runs(self, unit_id: str, scene: Scene) -> list[Run]:
        every, clip = self.origin.every, self.origin.clip
        runs = unbroken_runs(scene, at_least=(clip - 1) * every + 1)
        for run in runs:
            path = self.layout.scene_shard(run.video_id)
            others = {source_of(row) for row in read_rows(path)} - {unit_id} if path.exists() else set()
            if others:
                raise BadScene(f"{unit_id}: {others.pop()} has a video of the same name, {run.video_id}: rename one")
        return runs

    def _stored(self, unit_id: str, run: Run) -> dict[str, Any]:
        """Encode and write a run, unless it is there; what the unit's record says of it."""
        seen = Sampled(run, self.origin.every, *self.origin.size)
        if not self.shards.has(run.video_id):
            with _reading(), one_thread(self.device):
                tensors = encode_scene(seen, self.codec, self._on_frames)
            self.shards.write(
                run.video_id,
                run.environment_id,
                tensors,
                fps=seen.fps,
                size=self.origin.size,
                intrinsics=seen.intrinsics,
                meta={"source": unit_id, "every": self.origin.every, "frames": [run.start, run.stop]},
            )
        return {"video_id": run.video_id, "frames": len(seen)}

    def _bad(self, unit_id: str, reason: str, runs: list[Run]) -> UnitReport:
        for run in runs:
            path = self.layout.scene_shard(run.video_id)
            if path.exists() and {source_of(row) for row in read_rows(path)} == {unit_id}:
                path.unlink()
        environment = self._environments.get(unit_id)
        record = {"unit": unit_id, "environment_id": environment, "outcome": "bad", "reason": reason}
        write_json(self.layout.scene(unit_id), record)
        return UnitReport(unit_id, reason=reason)


@contextmanager
def _reading() -> Iterator[None]:
    """What cannot be read or used is the scene's fault, an option that does not fit it included: others may be fine."""
    try:
        yield
    except InputError as error:
        raise error if isinstance(error, BadScene) else BadScene(str(error)) from None


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On the CPU, sums depend on how many threads share them; with one, every process stores the same bits."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
