"""Finishes: the materials a room's furniture is made of, plainer or busier with the room's difficulty."""

import numpy as np

from video4spatial.rooms.palette import PALETTE, WOODS, Colour, to_linear
from video4spatial.rooms.parts import Material
from video4spatial.rooms.textures import TextureAtlas

_METALS: tuple[Colour, ...] = ((0.75, 0.75, 0.77), (0.12, 0.12, 0.13), (0.80, 0.66, 0.36))
_CLOTHS = ("fabric", "fabric", "leather", "plaid", "stripes", "dots")


class Finishes:
    """Makes materials for one room. ``difficulty`` is the chance that a surface carries a busy texture."""

    def __init__(self, rng: np.random.Generator, atlas: TextureAtlas, difficulty: float) -> None:
        self.rng = rng
        self.atlas = atlas
        self.difficulty = difficulty
        self.wood_colour: Colour = list(WOODS.values())[rng.integers(len(WOODS))]

    def busy(self) -> bool:
        """Throw the dice: a busy texture (true) or a plain one."""
        return bool(self.rng.random() < self.difficulty)

    def make(
        self,
        kind: str,
        tint: Colour = (1.0, 1.0, 1.0),
        variant: int = 0,
        scale: float = 1.0,
        gloss: float = 0.0,
        emission: float = 0.0,
        double_sided: bool = False,
    ) -> Material:
        """The material of a texture kind tinted with an sRGB colour."""
        return Material(self.atlas.index(kind, variant), to_linear(tint), gloss, emission, scale, double_sided)

    def plain(self, tint: Colour, gloss: float = 0.0) -> Material:
        return self.make("plain", tint, gloss=gloss)

    def wood(self, tint: Colour | None = None) -> Material:
        """Grained wood (or the same colour painted) in ``tint`` or in the wood of the room."""
        variant = int(self.rng.integers(4))
        if self.busy():
            return self.make("wood", tint or self.wood_colour, variant, scale=0.8, gloss=0.10)
        return self.plain(tint or self.wood_colour, gloss=0.10)

    def cloth(self, tint: Colour) -> Material:
        """A woven, patterned or plain cloth."""
        kind = _CLOTHS[self.rng.integers(len(_CLOTHS))]
        return self.make(kind if self.busy() else "plain", tint, scale=0.5)

    def metal(self) -> Material:
        return self.make("metal", _METALS[self.rng.integers(len(_METALS))], scale=0.3, gloss=0.25)

    def any_colour(self) -> Colour:
        """A palette colour as it is."""
        return list(PALETTE.values())[self.rng.integers(len(PALETTE))]

    def named_colour(self) -> Colour:
        """A palette colour, a little off it where the room is difficult."""
        colour = np.array(self.any_colour())
        jitter = 1 + (self.rng.uniform(0.88, 1.08, 3) - 1) * self.difficulty
        red, green, blue = np.clip(colour * jitter, 0, 1)
        return float(red), float(green), float(blue)

    def few(self, low: int, high: int) -> int:
        """A count in [low, high) at full difficulty, thinned in proportion below it."""
        return int(self.rng.binomial(self.rng.integers(low, high), self.difficulty))
