"""Who labels a store, as the options of ``video4spatial curate`` ask: a server, a local model, an oracle, or a file."""

import argparse
import os
from dataclasses import dataclass, field

from video4spatial.curate.annotated import AnnotationOracle
from video4spatial.curate.exchange import imported
from video4spatial.curate.label import label_scene
from video4spatial.curate.labels import SceneLabels
from video4spatial.curate.looking import StoredLook
from video4spatial.curate.oracle import RoomOracle
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.run import Labeller
from video4spatial.curate.settings import CurationSettings
from video4spatial.schema import InputError
from video4spatial.vlm.asking import Asker
from video4spatial.vlm.cache import AnswerCache
from video4spatial.vlm.question import VLM

ORACLES: dict[str, type[RoomOracle] | type[AnnotationOracle]] = {
    "rooms": RoomOracle,
    "scannetpp": AnnotationOracle,
    "arkitscenes": AnnotationOracle,
}


@dataclass
class Labelling:
    """A labeller with its settings. ``lists_everything``: its labels name all that a scene shows, so that what they do
    not name is absent; ``asked`` and ``remembered`` count questions."""

    settings: CurationSettings
    label: Labeller
    lists_everything: bool = True
    unplaced: tuple[str, ...] = ()
    askers: list[Asker] = field(default_factory=list)

    @property
    def asked(self) -> int:
        return sum(asker.asked for asker in self.askers)

    @property
    def remembered(self) -> int:
        return sum(asker.remembered for asker in self.askers)


def vlm_labelling(options: argparse.Namespace, store: PreparedStore, device: str) -> Labelling:
    """By a VLM (``device``: where a local one goes), or by the oracle of the store's kind.

    Raises:
        InputError: there is no oracle for such a store; the VLM's options cannot be used.
    """
    kind = store.origin.kind
    if options.vlm == "oracle" and kind not in ORACLES:
        raise InputError(
            f"--vlm oracle: a store of {kind} carries no annotation to answer from (only "
            f"{', '.join(ORACLES)} do): take server or local"
        )
    vlm = None if options.vlm == "oracle" else _asked(options, device)
    settings = _settings(options, f"{kind} oracle" if vlm is None else vlm.identity, options.clip_frames)
    cache = AnswerCache(store.layout.answers)

    def label(look: StoredLook) -> SceneLabels:
        asker = Asker(vlm or ORACLES[kind]([look]), cache)
        labelling.askers.append(asker)
        return label_scene(look, asker, settings.selection, settings.coordinates, settings.described_frames)

    labelling = Labelling(settings, label)
    return labelling


def import_labelling(options: argparse.Namespace, store: PreparedStore) -> Labelling:
    """By a file of annotations, whose clips say how long clips are."""
    found = imported(options.source, store)
    settings = _settings(options, found.identity, found.clip_frames)

    def label(look: StoredLook) -> SceneLabels:
        return found.label(look, settings.centre_ratio)

    return Labelling(settings, label, lists_everything=False, unplaced=tuple(found.lines()))


def _settings(options: argparse.Namespace, identity: str, clip_frames: int) -> CurationSettings:
    return CurationSettings(
        identity,
        options.look_size,
        options.every_look,
        clip_frames,
        options.centre_ratio,
        options.spacing,
        options.tail_frames,
        options.coordinates,
        options.described_frames,
    )


def _asked(options: argparse.Namespace, device: str) -> VLM:
    if options.vlm == "local":
        from video4spatial.vlm.local import LocalVLM

        return LocalVLM(options.vlm_model, device=device, max_tokens=options.max_tokens)
    from video4spatial.vlm.server import ServerVLM

    key = "EMPTY" if options.key_variable is None else os.environ.get(options.key_variable)
    if key is None:
        raise InputError(f"--key-variable {options.key_variable}: there is no such environment variable")
    return ServerVLM(
        options.vlm_model,
        options.url,
        key,
        concurrency=options.concurrency,
        requests_per_minute=options.requests_per_minute,
        timeout=options.timeout,
        retries=options.retries,
        max_tokens=options.max_tokens,
    )
