"""How a stored frame is cut from its source's, and boxes carried between the two and what a VLM looks at."""

from dataclasses import dataclass

from video4spatial.schema import Box, InputError
from video4spatial.storage.resize import centre_crop

_DIGITS = 4  # of a pixel: boxes that came by different ways are the same box


@dataclass(frozen=True)
class Framing:
    """How a stored frame was cut from its source's: a ``crop`` ``(left, top, width, height)``, scaled to ``stored``.

    ``look`` is the size of the same crop as it is looked at. Boxes are carried between the three.
    """

    source: tuple[int, int]
    stored: tuple[int, int]
    crop: tuple[int, int, int, int]
    look: tuple[int, int]

    @classmethod
    def of(cls, source: tuple[int, int], stored: tuple[int, int], look_size: int) -> "Framing":
        """``look_size``: the most pixels along the longer side; frames are never enlarged to be looked at."""
        if look_size < 1:
            raise InputError(f"look_size is {look_size}: give the longest side in pixels, for example 1024")
        crop = centre_crop(*source, *stored)
        shrink = min(1.0, look_size / max(crop[2:]))
        width, height = (max(1, round(side * shrink)) for side in crop[2:])
        return cls(source, stored, crop, (width, height))

    def record(self) -> dict[str, list[int]]:
        """As JSON; the crop follows from the sizes."""
        return {"source": list(self.source), "stored": list(self.stored), "look": list(self.look)}

    @classmethod
    def from_record(cls, record: dict[str, list[int]]) -> "Framing":
        (width, height), (wide, high), (a, b) = (record[name] for name in ("source", "stored", "look"))
        return cls((width, height), (wide, high), centre_crop(width, height, wide, high), (a, b))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> "Framing":
        """Frames that are stored and looked at as they are."""
        return cls(size, size, (0, 0, *size), size)

    def to_stored(self, box: Box) -> Box:
        """A box in pixels of what is looked at, in pixels of the stored frame, rounded."""
        across, down = self.stored[0] / self.look[0], self.stored[1] / self.look[1]
        return Box(*(round(v, _DIGITS) for v in (box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down)))

    def to_source(self, box: Box) -> Box:
        """A box in pixels of what is looked at, in pixels of the source's frame; not rounded, to come back the same."""
        left, top, width, height = self.crop
        across, down = width / self.look[0], height / self.look[1]
        return Box(left + box.x0 * across, top + box.y0 * down, left + box.x1 * across, top + box.y1 * down)

    def from_source(self, box: Box) -> Box | None:
        """A box in pixels of the source's frame, in pixels of what is looked at and cut to it: a VLM that looks at the
        crop sees no more. None if it lies outside."""
        left, top, width, height = self.crop
        across, down = self.look[0] / width, self.look[1] / height
        x0, x1 = (min(max((x - left) * across, 0.0), float(self.look[0])) for x in (box.x0, box.x1))
        y0, y1 = (min(max((y - top) * down, 0.0), float(self.look[1])) for y in (box.y0, box.y1))
        return Box(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
