"""1. Ground: name an object, get a video that goes to it and draws a red box on it.

    python examples/1_ground.py                                     # in a room that is rendered for it
    python examples/1_ground.py walk.mp4 "the red dresser"          # in your own walk-through video

It writes ground.mp4 and ground.json into runs/examples/1, or --out.
"""

import argparse
from pathlib import Path

from video4spatial import Video4SpatialPipeline
from video4spatial.data.rooms import RoomsConfig, plain_video

parser = argparse.ArgumentParser()
parser.add_argument("video", nargs="?", help="a walk-through; a room is rendered unless given")
parser.add_argument("target", nargs="?", help="the object to go to; in that room the teal wardrobe")
parser.add_argument("--out", type=Path, default=Path("runs/examples/1"))
parser.add_argument("--steps", type=int, help="sampling steps; the model's own number unless given")
options = parser.parse_args()

pipe = Video4SpatialPipeline.from_pretrained("rooms-small")  # ships with the package; or a folder of your own model

if options.video is None:  # room 7, seen on a walk of 161 frames: 10 seconds
    room = RoomsConfig().room(7)  # room.targets() are the objects that can be asked for
    context, target = plain_video(room, RoomsConfig()).clip, "the teal wardrobe"
else:
    context, target = options.video, options.target or parser.error("say which object: TARGET")
scene = pipe.encode_context(context)  # encoded once; ask it as often as you like
for seed in range(4):  # the small model does not draw a box every time: up to four tries
    answer = pipe(scene, instruction=target, seed=seed, steps=options.steps)
    if answer.box is not None:
        break
answer.save(options.out / "ground.mp4")
answer.save_json(options.out / "ground.json")  # the answer with all settings, for a program to read
if answer.box is None:
    print(f"{target}: not found, no box was drawn in four tries; the last: {options.out / 'ground.mp4'}")
else:
    print(f"{target}: seed {seed} drew {answer.box}, in pixels of {options.out / 'ground.mp4'}")
