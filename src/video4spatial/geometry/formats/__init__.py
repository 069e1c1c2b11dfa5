"""Camera paths in other people's files: found out, read, written (docs/conventions.md has the table)."""

from video4spatial.geometry.formats.detect import (
    FORMATS,
    detect_format,
    load_names,
    load_path,
    load_waypoints,
    save_path,
)

__all__ = ["FORMATS", "detect_format", "load_names", "load_path", "load_waypoints", "save_path"]
