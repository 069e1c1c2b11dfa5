"""3. A camera path of your own: from waypoints in Python, or from a file of any format that is read.

    python examples/3_custom_path.py                                # the waypoints below
    python examples/3_custom_path.py --path transforms.json         # nerfstudio, COLMAP, TUM, ROS, CSV, ...

It writes path.mp4 and the path in five formats into runs/examples/3, or --out.
"""

import argparse
from math import radians
from pathlib import Path

from video4spatial import CameraPath, Video4SpatialPipeline
from video4spatial.data.rooms import RoomsConfig, plain_video
from video4spatial.geometry.formats import load_path, save_path
from video4spatial.geometry.paths import Waypoint, interpolate

parser = argparse.ArgumentParser()
parser.add_argument("video", nargs="?", help="a walk-through; a room is rendered unless given")
parser.add_argument("--path", help="a camera path file; the waypoints of this script unless given")
parser.add_argument("--out", type=Path, default=Path("runs/examples/3"))
parser.add_argument("--steps", type=int, help="sampling steps; the model's own number unless given")
options = parser.parse_args()

pipe = Video4SpatialPipeline.from_pretrained("rooms-small")
if options.path is None:
    start = Waypoint()  # where the walk-through ended, looking as it did
    ahead = Waypoint(z=0.6, yaw=radians(20))  # metres; yaw turns to the right, pitch up
    aside = Waypoint(x=0.3, z=0.8, yaw=radians(-15), pitch=radians(5))
    path = CameraPath(interpolate([start, ahead, aside], pipe.config.frames), pipe.intrinsics)
else:  # whatever it has: recorded poses are taken relative to their first, at even steps of their time
    path = load_path(options.path, pipe.intrinsics, frames=pipe.config.frames)

scene = pipe.encode_context(options.video or plain_video(RoomsConfig().room(7), RoomsConfig()).clip)
pipe(scene, path=path, steps=options.steps).save(options.out / "path.mp4")
for name in ("transforms.json", "colmap", "path.tum", "path.csv", "path.ros.json"):  # the name says the format
    save_path(options.out / name, path, fps=pipe.config.fps)
print(f"{len(path)} frames: {options.out / 'path.mp4'}, the path beside it in five formats")
