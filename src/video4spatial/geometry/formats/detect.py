"""Which format a file is in, and the two doors: ``load_path`` and ``save_path``."""

from pathlib import Path

from video4spatial.geometry.formats import colmap, nerfstudio, realestate10k, ros, tum, waypoints
from video4spatial.geometry.formats.text import camera_path, lines_of, read_json_text
from video4spatial.geometry.paths import Waypoint, interpolate, resample
from video4spatial.schema import CameraPath, InputError, Intrinsics

FORMATS: tuple[str, ...] = (
    "waypoints-csv",
    "waypoints-json",
    "nerfstudio",
    "colmap",
    "tum",
    "realestate10k",
    "ros-yaml",
    "ros-json",
)
_WAYPOINTS = ("waypoints-csv", "waypoints-json")
_NAMED = ("colmap", "nerfstudio")


def detect_format(path: str | Path) -> str:
    """The format of an existing file or folder, by its name and, where that is not enough, its content."""
    path = Path(path)
    if path.is_dir():
        if (path / "images.txt").is_file():
            return "colmap"
        raise InputError(f"{path} is a folder without images.txt: give a COLMAP text model or a camera path file")
    if path.name == "images.txt":
        return "colmap"
    if path.suffix.lower() == ".csv":
        return "waypoints-csv"
    if path.suffix.lower() == ".json":
        content = read_json_text(path)
        keys = content.keys() if isinstance(content, dict) else ()
        return "nerfstudio" if "frames" in keys else "ros-json" if "poses" in keys else "waypoints-json"
    if path.suffix.lower() in (".yaml", ".yml"):
        return "ros-yaml"
    columns = [len(line.words) for line in lines_of(path)[:2]]
    if 19 in columns:
        return "realestate10k"
    if 8 in columns:
        return "tum"
    raise InputError(f"{path}: the camera path format is not plain from the file: name one of {', '.join(FORMATS)}")


def load_path(
    path: str | Path, intrinsics: Intrinsics | None = None, format: str | None = None, frames: int | None = None
) -> CameraPath:
    """A camera path from a file of any supported format (``FORMATS``; found out when ``format`` is None).

    ``intrinsics`` serve files that carry none; a file's own come first (RealEstate10K takes the image size from
    ``intrinsics``). ``frames`` asks for that many poses: waypoints are interpolated smoothly, recorded poses are
    resampled evenly in time; without it there is one pose a waypoint or line. Poses stay in the file's world frame.
    Raises ``InputError`` naming file and line.
    """
    path = Path(path)
    format = _known(format) or detect_format(path)
    if format in _WAYPOINTS:
        points = _READ_WAYPOINTS[format](path)
        c2w = [point.pose for point in points] if frames is None else list(interpolate(points, frames))
        return camera_path(path, c2w, intrinsics)
    loaded = colmap.read(path) if format == "colmap" else _READ_POSES[format](path, intrinsics)
    return loaded if frames is None else CameraPath(resample(loaded.c2w, frames), loaded.intrinsics)


def load_names(path: str | Path, format: str | None = None) -> list[str] | None:
    """The image each pose of ``load_path`` belongs to, where the format tells (COLMAP, nerfstudio); None elsewhere."""
    path = Path(path)
    format = _known(format) or detect_format(path)
    return {"colmap": colmap, "nerfstudio": nerfstudio}[format].names(path) if format in _NAMED else None


def load_waypoints(path: str | Path, format: str | None = None) -> list[Waypoint]:
    """The waypoints of a waypoint file (CSV or JSON); ``InputError`` for a file of poses."""
    path = Path(path)
    format = _known(format) or detect_format(path)
    if format not in _WAYPOINTS:
        raise InputError(f"{path} is a {format} file: waypoints are read from {' or '.join(_WAYPOINTS)}")
    return _READ_WAYPOINTS[format](path)


def save_path(path: str | Path, camera: CameraPath, format: str | None = None, fps: float | None = None) -> None:
    """Write ``camera`` as ``format``, or as the name says: .csv, .tum, transforms*.json, .ros.json, other .json
    (waypoints), .yaml (ROS), no suffix (a COLMAP folder). ``.txt`` is ambiguous and needs ``format``. The whole file is
    written or none of it. ``fps`` gives the formats with a clock (TUM, ROS) seconds; without it they count frames.
    """
    path = Path(path)
    format = _known(format) or _format_of_name(path)
    if format in _WAYPOINTS:
        write = waypoints.write_csv if format == "waypoints-csv" else waypoints.write_json
        write(path, [Waypoint.from_pose(c2w) for c2w in camera.c2w])
    elif format in _CLOCKED:
        _CLOCKED[format](path, camera, fps)
    else:
        {"nerfstudio": nerfstudio, "colmap": colmap, "realestate10k": realestate10k}[format].write(path, camera)


_READ_WAYPOINTS = {"waypoints-csv": waypoints.read_csv, "waypoints-json": waypoints.read_json}

_READ_POSES = {"nerfstudio": nerfstudio.read, "tum": tum.read, "realestate10k": realestate10k.read}
_READ_POSES |= {"ros-yaml": ros.read_yaml, "ros-json": ros.read_json}
_CLOCKED = {"tum": tum.write, "ros-yaml": ros.write_yaml, "ros-json": ros.write_json}


def _known(format: str | None) -> str | None:
    if format is not None and format not in FORMATS:
        raise InputError(f"there is no camera path format {format!r}: choose one of {', '.join(FORMATS)}")
    return format


def _format_of_name(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".json":
        ros_json = path.name.lower().endswith(".ros.json")
        return "nerfstudio" if path.name.startswith("transforms") else "ros-json" if ros_json else "waypoints-json"
    names = {".csv": "waypoints-csv", ".tum": "tum", "": "colmap", ".yaml": "ros-yaml", ".yml": "ros-yaml"}
    if suffix not in names:
        raise InputError(f"{path}: the name does not tell the camera path format: name one of {', '.join(FORMATS)}")
    return names[suffix]
