"""The scene: grid and axes, the waypoints, the path with its cameras, the camera that plays it."""

from collections.abc import Callable, Sequence

import numpy as np
import viser
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from video4spatial.app.editor import shapes
from video4spatial.geometry.paths import Waypoint
from video4spatial.schema import Intrinsics

START, POINT, CHOSEN = (24, 128, 70), (40, 84, 196), (214, 90, 0)
PATH, GHOST, PLAYER = (60, 66, 84), (150, 158, 178), (176, 28, 120)
AXES = (("x right", (196, 32, 32)), ("y down", (24, 128, 70)), ("z forward", (40, 84, 196)))
AXIS_METRES = 0.6
CAMERA_SCALE = 0.24
GHOST_METRES = 0.16  # depth of the pyramids along the path
GHOSTS = 24  # cameras drawn along the path, at most


def quaternion(c2w: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4"]:
    """The rotation of a pose as viser wants it: w x y z."""
    return Rotation.from_matrix(c2w[:3, :3]).as_quat(scalar_first=True)


class Scene:
    """Draws into a viser server; what has not changed is left as it is.

    Args:
        choose: called with the number of a waypoint that was clicked.
    """

    def __init__(self, server: viser.ViserServer, intrinsics: Intrinsics, choose: Callable[[int], None]):
        self._scene, self._lens, self._choose = server.scene, intrinsics, choose
        self._fov = float(2 * np.arctan(intrinsics.height / 2 / intrinsics.fy))
        self._aspect = intrinsics.width / intrinsics.height * intrinsics.fy / intrinsics.fx
        self._half = 0.0
        self._points: list[viser.IcosphereHandle] = []
        self._cameras: list[viser.CameraFrustumHandle] = []
        self._scene.configure_default_lights(enabled=False)  # they shine from where z is up
        self._scene.add_light_ambient("/light/everywhere", intensity=2.2)
        self._scene.add_light_directional("/light/above", intensity=1.2, position=(-2.0, -5.0, -3.0))
        self._axes()
        nothing = np.zeros((1, 2, 3))
        line, units = self._scene.add_line_segments, "screen"
        self._path = line("/path", nothing, PATH, thickness=3.0, thickness_units=units)
        self._ghosts = line("/cameras", nothing, GHOST, thickness=1.0, thickness_units=units)
        self._drops = line("/heights", nothing, GHOST, thickness=1.0, thickness_units=units)
        self.gizmo = self._scene.add_transform_controls("/gizmo", scale=0.55, line_width=3.0, depth_test=False)
        self.player = self._frustum("/player", PLAYER, "wireframe")

    def draw(
        self,
        waypoints: Sequence[Waypoint],
        c2w: Float[np.ndarray, "T 4 4"],
        chosen: int,
        dragged: bool = False,
    ) -> None:
        """Show a path; the gizmo is on waypoint ``chosen`` and, while it is ``dragged``, left to the mouse."""
        places = c2w[:, :3, 3]
        self._grid(shapes.grid_half(places))
        self._path.points = shapes.polyline(places).astype(np.float32)
        ghosts = c2w[shapes.spread(len(c2w), GHOSTS)]
        self._ghosts.points = shapes.pyramids(ghosts, self._lens, GHOST_METRES).astype(np.float32)
        while len(self._points) > len(waypoints):
            self._points.pop().remove()  # and what hangs on it
            self._cameras.pop()
        while len(self._points) < len(waypoints):
            self._add(len(self._points))
        poses = np.stack([point.pose for point in waypoints])
        ground = poses[:, :3, 3] * [1.0, 0.0, 1.0]
        self._drops.points = np.stack([poses[:, :3, 3], ground], axis=1).astype(np.float32)
        for index, (pose, point, camera) in enumerate(zip(poses, self._points, self._cameras, strict=True)):
            point.position, point.wxyz = pose[:3, 3], quaternion(pose)
            colour = CHOSEN if index == chosen else START if index == 0 else POINT
            if point.color != colour:
                point.color = camera.color = colour
        if not dragged:
            self.gizmo.position, self.gizmo.wxyz = poses[chosen, :3, 3], quaternion(poses[chosen])

    def show(self, c2w: Float[np.ndarray, "4 4"], visible: bool = True) -> None:
        """The camera that plays the path, at a pose."""
        self.player.position, self.player.wxyz = c2w[:3, 3], quaternion(c2w)
        self.player.visible = visible

    def _frustum(self, name: str, colour: tuple[int, int, int], variant: str) -> viser.CameraFrustumHandle:
        return self._scene.add_camera_frustum(
            name, self._fov, self._aspect, scale=CAMERA_SCALE, color=colour, thickness=2.5, thickness_units="screen",
            variant="filled" if variant == "filled" else "wireframe", cast_shadow=False, receive_shadow=False,
        )  # fmt: skip

    def _add(self, index: int) -> None:
        name, colour = f"/waypoints/{index}", START if index == 0 else POINT
        point = self._scene.add_icosphere(name, 0.05, colour, subdivisions=2, cast_shadow=False, receive_shadow=False)
        text = "0 start" if index == 0 else str(index)
        self._scene.add_label(f"{name}/number", text, position=(0.0, -0.1, 0.0), anchor="bottom-center")
        self._points.append(point)
        self._cameras.append(self._frustum(f"{name}/camera", colour, "filled"))

        @point.on_click
        async def _(_event: viser.SceneNodePointerEvent) -> None:
            self._choose(index)

    def _axes(self) -> None:
        """The convention, where the reference frame is."""
        for (name, colour), way in zip(AXES, np.eye(3), strict=True):
            tip = AXIS_METRES * way
            self._scene.add_arrows(
                f"/axes/{name[0]}", np.stack([np.zeros(3), tip])[None], colour, shaft_radius=0.012, head_radius=0.035
            )
            self._scene.add_label(f"/axes/{name[0]}/name", name, position=1.12 * tip, anchor="center-center")

    def _grid(self, half: float) -> None:
        """Lines every metre and half metre at the height of the reference frame, with numbers along its axes."""
        if half == self._half:
            return
        self._half, step = half, shapes.label_step(half)
        self._scene.add_grid(
            "/grid", 2 * half, 2 * half, plane="xz", cell_size=0.5, section_size=1.0, cell_color=(222, 222, 226),
            section_color=(176, 178, 188), shadow_opacity=0.0, fade_distance=1e4,
        )  # fmt: skip
        self._scene.remove_by_name("/metres")
        for at in range(-int(half), int(half) + 1):
            if at and at % step == 0:
                for axis, place in (("x", (at, 0.0, half)), ("z", (half, 0.0, at))):
                    text = f"{axis} = {shapes.shown_metres(at)}"
                    self._scene.add_label(f"/metres/{axis}{at}", text, position=place, font_screen_scale=0.75)
