"""The metrics there are, by name. A new one is a class of ``metric.Metric`` and a line here.

Settings come from the command line as words (``--set NAME.KEY=VALUE``); each metric reads its own.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature

from video4spatial.evaluate.box_answer import BoxAnswer
from video4spatial.evaluate.fidelity import Fidelity
from video4spatial.evaluate.following_instructions import LIMITS, near_too
from video4spatial.evaluate.following_metric import InstructionFollowing
from video4spatial.evaluate.metric import Column, Joint, Metric, Value
from video4spatial.evaluate.quality_metrics import DynamicDegreeMetric, ImagingQualityMetric, LPIPSMetric
from video4spatial.evaluate.spatial_metric import SpatialMetric
from video4spatial.schema import InputError

METRICS: dict[str, Callable[..., Metric]] = {
    "fidelity": Fidelity,
    "lpips": LPIPSMetric,
    "spatial": SpatialMetric,
    "following": InstructionFollowing,
    "box": BoxAnswer,
    "imaging-quality": ImagingQualityMetric,
    "dynamic-degree": DynamicDegreeMetric,
}


def _joint_rate(limit: float) -> Callable[[Mapping[str, Value]], Value]:
    """Success and a Spatial Distance below ``limit``: joint, over all videos. A video that could not be registered is
    below none; where success, or whether there is a distance, is not computed, neither is this."""

    def of(values: Mapping[str, Value]) -> Value:
        if values["if"] is None or values["sd_scored"] is None:
            return None
        return near_too(bool(values["if"]), values["sd"], limit)

    return of


JOINTS: tuple[Joint, ...] = tuple(
    Joint(
        Column(f"if_sd_{limit}", f"IF (SD<{limit})", rate=True, without_video=False, digits=4),
        ("if", "sd", "sd_scored"),
        _joint_rate(limit),
    )
    for limit in LIMITS
)


def make_metrics(names: Sequence[str] | None = None, settings: Sequence[str] = ()) -> list[Metric]:
    """These metrics (all, unless named), with ``settings`` such as "spatial.reconstructor=vggt".

    Raises ``InputError`` for an unknown metric or setting.
    """
    names = list(METRICS) if names is None else list(dict.fromkeys(names))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise InputError(f"there is no metric {', '.join(unknown) or '(none)'}: use {', '.join(METRICS)}")
    given: dict[str, dict[str, str]] = {}
    for text in settings:
        name, _, value = text.partition("=")
        metric, dot, key = name.partition(".")
        if metric not in METRICS or not dot or not value:
            raise InputError(f"--set is {text!r}: write METRIC.KEY=VALUE, METRIC one of {', '.join(METRICS)}")
        known = signature(METRICS[metric]).parameters
        if key not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InputError(f"--set {text}: {metric} has no setting {key!r}; {takes}")
        given.setdefault(metric, {})[key] = value
    return [METRICS[name](**given.get(name, {})) for name in names]
