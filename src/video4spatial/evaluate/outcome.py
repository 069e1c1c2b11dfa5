"""What a measure says when there is no value: why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NotComputed:
    """A score that could not be computed, and the reason in words; it is counted and shown, never dropped.

    Not an error: the video was there and read. A file or option that cannot be used is an ``InputError``.
    ``keep`` off: it need not be about the video (a judge was away, a file was missing), and the next evaluation asks
    again.
    """

    reason: str
    keep: bool = True
