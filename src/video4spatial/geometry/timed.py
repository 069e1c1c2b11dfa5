"""Poses with a clock, looked up at the times of frames that another stream took."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.spatial.transform import Rotation, Slerp


@dataclass(frozen=True)
class TimedPoses:
    """Camera-to-world poses ``c2w`` float64 ``[N, 4, 4]`` at ``times`` float64 ``[N]`` (seconds, strictly rising)."""

    times: Float64[np.ndarray, " N"]
    c2w: Float64[np.ndarray, "N 4 4"]

    def at(
        self, times: Float64[np.ndarray, " T"], exact: float = 0.005, max_gap: float = 0.25
    ) -> Float64[np.ndarray, "T 4 4"]:
        """The pose at each time; NaN where there is none.

        A recorded pose within ``exact`` seconds is taken as it is. Else the two neighbours are interpolated, the place
        on a straight line and the rotation by Slerp, if they are at most ``max_gap`` seconds apart. Nothing is
        extrapolated beyond the first and the last pose.
        """
        poses = np.full((len(times), 4, 4), np.nan)
        if not len(self.times):
            return poses
        after = np.searchsorted(self.times, times)
        left, right = np.clip(after - 1, 0, None), np.clip(after, None, len(self.times) - 1)
        nearest = np.where(np.abs(times - self.times[left]) <= np.abs(self.times[right] - times), left, right)
        taken = np.abs(times - self.times[nearest]) <= exact + 1e-9
        poses[taken] = self.c2w[nearest[taken]]
        between = ~taken & self._between(times, max_gap)
        if between.any():
            poses[between] = self._interpolated(times[between])
        return poses

    def _between(self, times: Float64[np.ndarray, " T"], max_gap: float) -> Bool[np.ndarray, " T"]:
        after = np.searchsorted(self.times, times)
        inside = (after > 0) & (after < len(self.times))
        after = np.clip(after, 1, max(len(self.times) - 1, 1))
        return inside & (self.times[np.minimum(after, len(self.times) - 1)] - self.times[after - 1] <= max_gap + 1e-9)

    def _interpolated(self, times: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T 4 4"]:
        poses = np.tile(np.eye(4), (len(times), 1, 1))
        poses[:, :3, :3] = Slerp(self.times, Rotation.from_matrix(self.c2w[:, :3, :3]))(times).as_matrix()
        poses[:, :3, 3] = np.stack([np.interp(times, self.times, self.c2w[:, axis, 3]) for axis in range(3)], axis=-1)
        return poses


def is_posed(c2w: Float[np.ndarray, "T 4 4"]) -> Bool[np.ndarray, " T"]:
    """Which frames have a pose: those without hold NaN."""
    return np.asarray(np.isfinite(c2w).all(axis=(1, 2)))
