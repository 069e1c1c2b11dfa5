"""2. Navigate: the same place seen along several camera paths, beside one another on one sheet.

    python examples/2_navigate.py                       # in a room that is rendered for it
    python examples/2_navigate.py walk.mp4 --seed 3     # in your own walk-through video

It writes a video for each path and sheet.png into runs/examples/2, or --out.
"""

import argparse
from pathlib import Path

from video4spatial import CameraPath, Video4SpatialPipeline
from video4spatial.data.rooms import RoomsConfig, plain_video
from video4spatial.geometry.paths import preset
from video4spatial.storage.sheet import contact_sheet, write_image

parser = argparse.ArgumentParser()
parser.add_argument("video", nargs="?", help="a walk-through; a room is rendered unless given")
parser.add_argument("--out", type=Path, default=Path("runs/examples/2"))
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--steps", type=int, help="sampling steps; the model's own number unless given")
options = parser.parse_args()

pipe = Video4SpatialPipeline.from_pretrained("rooms-small")
scene = pipe.encode_context(options.video or plain_video(RoomsConfig().room(7), RoomsConfig()).clip)

frames = pipe.config.frames  # the clip length that the model was trained on
asked = {
    "turn right by 60 degrees": preset("turn-right", frames, degrees=60),
    "turn left by 60 degrees": preset("turn-left", frames, degrees=60),
    "a metre ahead": preset("forward", frames, metres=1.0),
}
rows = {}
for name, poses in asked.items():  # poses: camera-to-world, x right, y down, z ahead, metres; the first is the start
    answer = pipe(scene, path=CameraPath(poses, pipe.intrinsics), seed=options.seed, steps=options.steps)
    answer.save(options.out / f"{name.replace(' ', '-')}.mp4")
    rows[name] = answer.frames
write_image(options.out / "sheet.png", contact_sheet(rows))
print(f"{len(rows)} videos of {frames} frames, and {options.out / 'sheet.png'}")
