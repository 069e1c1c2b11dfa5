"""Draws docs/images/conventions.png: the camera's axes, and which way each angle turns. Run it from anywhere:

python docs/draw_conventions.py
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from video4spatial.geometry.poses import pose_from_waypoint

SCALE = 2  # drawn large and reduced, for smooth lines
PANEL, HEIGHT = 300, 300
INK, GHOST = (40, 40, 48), (178, 178, 186)
AXES = (("x right", (200, 40, 40)), ("y down", (30, 140, 60)), ("z forward", (40, 80, 200)))
YAW, PITCH, AWAY = 0.72, -0.5, 6.0  # who looks at the scene, in our own convention
VIEWER = pose_from_waypoint([0, 0, 0], YAW, PITCH)
VIEWER[:3, 3] = [0.0, 0.0, 0.45] - AWAY * VIEWER[:3, 2]


def project(points, left):
    """World points to the panel whose left side is at ``left``."""
    camera = (np.asarray(points, dtype=float) - VIEWER[:3, 3]) @ VIEWER[:3, :3]
    middle = np.array([PANEL / 2 + left, HEIGHT / 2 + 4])
    return [tuple((middle + 680 * p[:2] / p[2]) * SCALE) for p in camera]


def font(size):
    return ImageFont.load_default(size * SCALE)


def camera_body(draw, pose, left, colour, width):
    """A pyramid from the camera's centre to its image, with a tab on the upper side."""
    w, h, d = 0.55, 0.36, 0.8
    corners = [[-w, -h, d], [w, -h, d], [w, h, d], [-w, h, d], [0, -h - 0.22, d], [0, 0, 0]]
    at = project(np.array(corners) @ pose[:3, :3].T + pose[:3, 3], left)
    if width > 1:
        draw.polygon(at[:4], (226, 234, 246))
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0), (5, 0), (5, 1), (5, 2), (5, 3), (0, 4), (4, 1)):
        draw.line([at[a], at[b]], fill=colour, width=width * SCALE)


def arrow(draw, points, colour, width=3):
    """A line through 2D points with a head at its end."""
    draw.line(points, fill=colour, width=width * SCALE, joint="curve")
    end, before = np.array(points[-1]), np.array(points[-2])
    along = (end - before) / np.linalg.norm(end - before) * 9 * SCALE
    across = np.array([-along[1], along[0]]) * 0.5
    draw.polygon(
        [tuple(end + along * 0.6), tuple(end - along * 0.6 + across), tuple(end - along * 0.6 - across)], colour
    )


def axes_panel(draw, left):
    pose = np.eye(4)
    camera_body(draw, pose, left, INK, 2)
    for axis, (name, colour) in enumerate(AXES):
        tip = np.eye(3)[axis] * (1.5 if axis == 2 else 1.0)
        points = project([np.zeros(3), tip], left)
        arrow(draw, points, colour)
        shift = ((-14, 10), (-60, -2), (-74, -12))[axis]
        draw.text((points[1][0] + shift[0] * SCALE, points[1][1] + shift[1] * SCALE), name, colour, font(15))


def turn_panel(draw, left, angles, sweep, colour):
    camera_body(draw, np.eye(4), left, GHOST, 1)
    camera_body(draw, pose_from_waypoint([0, 0, 0], *angles), left, INK, 2)
    steps = np.linspace(0.0, 1.0, 24)
    points = [pose_from_waypoint([0, 0, 0], *(s * np.array(angles)).tolist())[:3, :3] @ sweep for s in steps]
    arrow(draw, project(points, left), colour)


def main():
    image = Image.new("RGB", (4 * PANEL * SCALE, HEIGHT * SCALE), "white")
    draw = ImageDraw.Draw(image)
    axes_panel(draw, 0)
    ahead, right = np.array([0, 0, 1.3]), np.array([0.95, 0, 0.8])
    turn_panel(draw, PANEL, (0.6, 0.0, 0.0), ahead, AXES[1][1])
    turn_panel(draw, 2 * PANEL, (0.0, 0.6, 0.0), ahead, AXES[0][1])
    turn_panel(draw, 3 * PANEL, (0.0, 0.0, 0.6), right, AXES[2][1])
    titles = ("camera axes (OpenCV)", "+yaw: turns right", "+pitch: looks up", "+roll: right side dips")
    for number, title in enumerate(titles):
        draw.text((int((number + 0.5) * PANEL) * SCALE, 14 * SCALE), title, INK, font(17), anchor="mt")
    file = Path(__file__).parent / "images" / "conventions.png"
    file.parent.mkdir(exist_ok=True)
    image = image.resize((4 * PANEL, HEIGHT), Image.Resampling.LANCZOS).quantize(160, dither=Image.Dither.NONE)
    image.save(file, optimize=True)


if __name__ == "__main__":
    main()
