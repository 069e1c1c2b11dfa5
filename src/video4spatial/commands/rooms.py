"""``video4spatial rooms``: a walk through a procedural room, as a video, with its camera path and a contact sheet."""

import argparse

from video4spatial.geometry.formats import save_path
from video4spatial.rooms import make_room, tour
from video4spatial.schema import CameraPath, Clip, InputError, Intrinsics
from video4spatial.storage.sheet import contact_sheet, require_image_name, write_image
from video4spatial.storage.video import write_video


def render_walk(options: argparse.Namespace, width: int, height: int) -> None:
    """Render the walk that the command line asks for, and say what the room holds."""
    if not 0 < options.fps < float("inf"):
        raise InputError(f"--fps is {options.fps}: give a number above 0")
    if options.tour < 0:
        raise InputError(f"--tour is {options.tour}: give a number from 0 up")
    if options.sheet:
        require_image_name(options.sheet)
    room = make_room(options.seed, difficulty=options.difficulty)
    target = None
    if options.target is not None:
        phrases = {t.phrase: t.object_id for t in room.targets()}
        wanted = options.target.lower().removeprefix("the ")
        if wanted not in phrases:
            raise InputError(f"--target {options.target!r} is not in room {options.seed}: it has {', '.join(phrases)}")
        target = phrases[wanted]
    lens = Intrinsics.from_horizontal_fov(72.0, width, height)
    c2w = tour(room, options.frames, seed=options.tour, fps=options.fps, target=target)
    if options.poses:  # first, since it is quick and its name can be wrong
        save_path(options.poses, CameraPath(c2w, lens))
    clip = Clip(room.render(c2w, lens).rgb, options.fps)
    write_video(options.out, clip)
    if options.sheet:
        write_image(options.sheet, contact_sheet({f"room {options.seed}: {room.describe()}": clip.frames}))
    print(f"{room.describe()}; {len(clip)} frames in {options.out}")
    print("it holds: " + ", ".join(t.phrase for t in room.targets()))
