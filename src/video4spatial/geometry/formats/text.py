"""Text files in and out, with errors that name file and line."""

import contextlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from video4spatial.geometry.poses import require_rigid
from video4spatial.schema import CameraPath, InputError, Intrinsics


def read_text(path: Path) -> str:
    """The file's text (UTF-8, byte-order mark allowed), or ``InputError`` naming it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file: give one of the camera path formats") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Write the whole file or nothing: to a sibling that is renamed, removed on failure."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; free space or choose another") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _umask() -> int:
    """The process's umask (it can only be read by setting it): mkstemp's files are private otherwise."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_json_text(path: Path) -> object:
    """The parsed file, or ``InputError`` naming file and line."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg})") from None
    except RecursionError:
        raise InputError(f"{path}: JSON nested too deeply to be a camera path") from None


@dataclass(frozen=True)
class Line:
    """One line of a file, for error messages."""

    path: Path
    number: int
    text: str

    @property
    def words(self) -> list[str]:
        return self.text.split()

    def error(self, message: str) -> InputError:
        """An error that names the file and this line."""
        return InputError(f"{self.path}, line {self.number}: {message}")

    def floats(self, words: Sequence[str] | None = None) -> Float64[np.ndarray, "n"]:
        """The words as finite numbers."""
        values = []
        for word in self.words if words is None else words:
            try:
                value = float(word)
            except ValueError:
                raise self.error(f"{word!r} is not a number") from None
            if not np.isfinite(value):
                raise self.error(f"{word!r} is not a finite number")
            values.append(value)
        return np.array(values, dtype=np.float64)


def lines_of(path: Path, keep_blank: bool = False) -> list[Line]:
    """The lines that are not comments (``#``), numbered from 1 as in the file."""
    numbered = (Line(path, number, text) for number, text in enumerate(read_text(path).splitlines(), 1))
    return [line for line in numbered if not line.text.lstrip().startswith("#") and (keep_blank or line.text.strip())]


def quaternion_pose(
    line: Line, xyzw: Float64[np.ndarray, "4"], translation: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """The 4x4 matrix of a quaternion that is of unit length up to rounding, and a translation."""
    length = float(np.linalg.norm(xyzw))
    if abs(length - 1) > 1e-2:
        raise line.error(f"the quaternion has length {length:.4g}, not 1: are the columns in the right order?")
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(xyzw).as_matrix()
    pose[:3, 3] = translation
    return pose


def quaternion_wxyz(rotation: Float64[np.ndarray, "3 3"]) -> list[float]:
    """The quaternion with w >= 0, as COLMAP writes it."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True)
    return [float(w), float(x), float(y), float(z)]


def numbers(values: Sequence[float] | Float64[np.ndarray, "n"]) -> str:
    """Numbers with spaces between, in the shortest form that reads back exactly."""
    return " ".join(repr(float(value)) for value in values)


def camera_path(path: Path, poses: Sequence[np.ndarray], intrinsics: Intrinsics | None) -> CameraPath:
    """The path read, checked; ``intrinsics`` None means that neither the file nor the caller gave any."""
    if not poses:
        raise InputError(f"{path} holds no poses: give a file with at least one")
    if intrinsics is None:
        raise InputError(f"{path} carries no intrinsics: give them, for example as a horizontal field of view")
    if min(intrinsics.fx, intrinsics.fy, intrinsics.width, intrinsics.height) <= 0:
        raise InputError(f"{path}: focal lengths and image size must be above 0, not {intrinsics}")
    return CameraPath(require_rigid(np.stack(poses), str(path)), intrinsics)
