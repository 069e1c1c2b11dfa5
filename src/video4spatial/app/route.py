"""Where the camera is to go: a preset, waypoints, or a path file; in words, and as poses for a clip's length."""

from dataclasses import dataclass
from pathlib import Path

from video4spatial.app.editor.edit import MAX_WAYPOINTS, PathEdit
from video4spatial.app.editor.exchange import import_path, preset_waypoints
from video4spatial.geometry.formats import load_path
from video4spatial.geometry.paths import PRESETS, Waypoint, interpolate, preset
from video4spatial.schema import CameraPath, InputError, Intrinsics


@dataclass(frozen=True)
class Preset:
    """A named path; ``degrees`` and ``metres`` None are the preset's own."""

    name: str
    degrees: float | None = None
    metres: float | None = None

    def __post_init__(self) -> None:
        preset(self.name, 1, self.degrees, self.metres)  # raises now what it would raise later

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        options = [f"{self.degrees:g} degrees" if self.degrees is not None else ""]
        options += [f"{self.metres:g} m" if self.metres is not None else ""]
        return " ".join(part for part in (self.name, *options) if part)

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        return CameraPath(preset(self.name, frames, self.degrees, self.metres), lens)


@dataclass(frozen=True)
class Through:
    """A smooth path through waypoints."""

    waypoints: tuple[Waypoint, ...]

    def __post_init__(self) -> None:
        if len(self.waypoints) > MAX_WAYPOINTS:
            raise InputError(f"{len(self.waypoints)} waypoints: give at most {MAX_WAYPOINTS}")
        PathEdit(self.waypoints, MAX_WAYPOINTS)  # raises for places and angles beyond the limits

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        count = len(self.waypoints)
        return "1 waypoint" if count == 1 else f"{count} waypoints"

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        return CameraPath(interpolate(self.waypoints, frames), lens)


@dataclass(frozen=True)
class FromFile:
    """A path file in any format of ``geometry.formats``."""

    path: Path
    format: str | None = None
    name: str = ""

    @property
    def words(self) -> str:
        """What it is, as a person would say it."""
        return self.name or self.path.name

    def poses(self, lens: Intrinsics, frames: int) -> CameraPath:
        """The path as ``frames`` poses; ``lens`` where it brings none."""
        try:
            return load_path(self.path, lens, self.format, frames)
        except InputError as error:
            raise InputError(str(error).replace(str(self.path), self.words)) from None


Route = Preset | Through | FromFile


def waypoints_along(route: Route, lens: Intrinsics, frames: int) -> list[Waypoint]:
    """A route as waypoints to go on from: a preset's own, a file's thinned out as the editor does it."""
    if isinstance(route, Preset):
        return preset_waypoints(route.name, route.degrees, route.metres)
    if isinstance(route, FromFile):
        return import_path(route.path, lens, frames, route.format).waypoints
    return list(route.waypoints)


__all__ = ["MAX_WAYPOINTS", "PRESETS", "FromFile", "Preset", "Route", "Through", "waypoints_along"]
