"""The reconstructors there are, by name."""

from pathlib import Path

from video4spatial.evaluate.reconstruct import Reconstructor
from video4spatial.rooms import Room
from video4spatial.schema import InputError

FEED_FORWARD = ("vggt", "depth-anything-3")
RECONSTRUCTORS = ("rooms", "colmap", *FEED_FORWARD)


def open_reconstructor(
    which: str, weights: str | Path | None = None, device: str = "cuda", room: Room | None = None
) -> Reconstructor:
    """ "rooms" registers against the known ``room``; "colmap" needs frames of real size; "vggt" (the paper's) and
    "depth-anything-3" run on ``device`` with the ``weights`` of a folder.

    Raises ``InputError`` for another name, and where what it needs is not there.
    """
    if which == "rooms" and room is not None:
        from video4spatial.evaluate.rooms_reconstructor import RoomsReconstructor

        return RoomsReconstructor(room)
    if which == "colmap":
        from video4spatial.evaluate.colmap import ColmapReconstructor

        return ColmapReconstructor()
    if which in FEED_FORWARD and weights is not None:
        from video4spatial.evaluate.feed_forward import depth_anything_3, vggt

        return (vggt if which == "vggt" else depth_anything_3)(Path(weights), device)
    if which not in RECONSTRUCTORS:
        raise InputError(f"there is no reconstructor {which!r}: use one of {', '.join(RECONSTRUCTORS)}")
    raise InputError(f"reconstructor {which!r} needs {'a known room' if which == 'rooms' else 'a folder of weights'}")
