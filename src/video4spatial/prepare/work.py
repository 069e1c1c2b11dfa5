"""What goes to whoever encodes, and what comes back; light, so that a worker may begin before model libraries do."""

import json
from dataclasses import dataclass

from video4spatial.data.origin import Origin


@dataclass(frozen=True)
class UnitReport:
    """What became of a unit: its stored videos and frames, or why it cannot be used (``reason``)."""

    unit_id: str
    videos: int = 0
    frames: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Work:
    """What a process needs to know to encode units; ``device`` is torch's name for where the VAE goes."""

    store: str
    origin: Origin
    device: str = "cpu"

    def to_text(self) -> str:
        """To be sent to another computer."""
        return json.dumps({"store": self.store, "origin": self.origin.to_json(), "device": self.device})

    @classmethod
    def from_text(cls, text: str) -> "Work":
        content = json.loads(text)
        return cls(content["store"], Origin.from_json(content["origin"]), content["device"])
