"""Why a frame's clip was kept or dropped, in a sentence."""

from collections.abc import Mapping

from video4spatial.curate.answers import Outcome
from video4spatial.curate.labels import Look, SceneLabels
from video4spatial.curate.select import Drop

_MEANING = {
    Outcome.NOTHING: "the answer lists no object",
    Outcome.EMPTY: "the answer has no text",
    Outcome.MALFORMED: "the answer is not the JSON that was asked for",
    Outcome.TRUNCATED: "the answer was cut off",
    Outcome.OUT_OF_RANGE: "a corner lies outside the picture",
    Outcome.SWAPPED: "corners are swapped",
    Outcome.REFUSED: "the model, or a filter, declined",
    Outcome.REJECTED: "the server did not take the question",
}


def why(labels: SceneLabels, look: Look, settings: Mapping[str, object]) -> str:
    """What decided about a frame; text, not HTML."""
    if look.objects is not Outcome.FOUND:
        return _failed(look.objects, look.reason)
    if look.drop is Drop.OUTSIDE:
        return f"the imported box of {look.reason!r} lies outside the crop of this store"
    off = _off(labels, look, settings)
    if look.drop is Drop.NOTHING_CENTRED and look.listed == 1:
        return f"the only object listed is off centre: {off}"
    if look.drop is Drop.NOTHING_CENTRED:
        return f"{look.listed} objects listed, none of them centred: the nearest is {off}"
    if look.drop is Drop.OFF_CENTRE:
        return f"imported; in the crop of this store it is {off}"
    if look.drop is Drop.TOO_EARLY:
        before = look.frame // labels.every + 1
        return f"{off}; but the video has {before} frames up to here, a clip needs {labels.clip_frames}"
    if look.drop is Drop.TOO_CLOSE:
        return f"{off}; but a clip on the same label ends less than {settings.get('spacing')} frames before"
    if not look.kept and look.description is not None:
        return f"{off}; but the clip could not be described: {_failed(look.description, look.reason)}"
    if str(settings.get("vlm", "")).startswith("imported"):
        return f"imported; {off}"
    if look.listed == 1:
        return f"the only object listed, {off}"
    return f"of {look.listed} objects listed the nearest to the centre, {off}"


def _failed(outcome: Outcome, reason: str) -> str:
    meaning = _MEANING[outcome]
    return f"{meaning}: {reason}" if reason and reason != meaning else meaning


def _off(labels: SceneLabels, look: Look, settings: Mapping[str, object]) -> str:
    """How far the target is from the middle, in shares of width and height."""
    if look.target is None:
        return "unknown"
    (x, y), (width, height) = look.target.box.centre, labels.size
    limit = float(str(settings.get("centre_ratio", 0.3))) / 2
    across, down = abs(x / width - 0.5), abs(y / height - 0.5)
    return f"“{look.target.label}”, {across:.0%} across and {down:.0%} up or down from the middle ({limit:.0%} allowed)"
