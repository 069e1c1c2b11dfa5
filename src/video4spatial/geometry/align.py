"""Similarity alignment of corresponding points."""

import numpy as np
from jaxtyping import Float, Float64

from video4spatial.schema import InputError


def umeyama(
    source: Float[np.ndarray, "N 3"], target: Float[np.ndarray, "N 3"], with_scale: bool = True
) -> tuple[float, Float64[np.ndarray, "3 3"], Float64[np.ndarray, "3"]]:
    """The similarity ``target ~ scale * R @ source + t`` with the least squared error: ``(scale, R, t)``.

    R is a proper rotation even where a reflection would fit better. ``with_scale=False`` fixes the scale at 1.
    Raises ``InputError`` where no single answer exists: fewer than 3 points, NaN, or points on one line (a straight
    camera path leaves the turn about itself open). Source: Umeyama, PAMI 1991, equations 34 to 43.
    """
    if source.shape != target.shape:
        raise InputError(f"{len(source)} source points cannot be paired with {len(target)} target points")
    if len(source) < 3:
        raise InputError(f"alignment needs at least 3 pairs of points, not {len(source)}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise InputError("the points to align hold NaN or infinity: drop those pairs first")
    source, target = source.astype(np.float64), target.astype(np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred_source, centred_target = source - source_mean, target - target_mean
    for name, centred in (("source", centred_source), ("target", centred_target)):
        spread = np.linalg.svd(centred, compute_uv=False)
        if spread[1] <= 1e-6 * max(spread[0], 1e-12):
            raise InputError(f"the {name} points lie on one line or in one place, which leaves the rotation open")
    u, singular, vt = np.linalg.svd(centred_target.T @ centred_source / len(source))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * sign) @ vt
    scale = float((singular * sign).sum() / centred_source.var(axis=0).sum()) if with_scale else 1.0
    return scale, rotation, target_mean - scale * rotation @ source_mean
