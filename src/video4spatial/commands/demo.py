"""``video4spatial demo``: a walk through a room the model has never seen, both tasks in it, and a page to look at."""

import time
from pathlib import Path

import numpy as np
from rich.console import Console

from video4spatial.data.rooms import RoomsConfig, article, plain_video
from video4spatial.geometry.boxes import draw_box
from video4spatial.geometry.paths import preset
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import EncodedScene, Result
from video4spatial.schema import CameraPath, Clip, InputError
from video4spatial.storage.artifacts import atomic_path
from video4spatial.storage.page import escaped, page
from video4spatial.storage.sheet import contact_sheet, write_image
from video4spatial.storage.video import write_video

TRIES = 3  # seeds that grounding may try until a box can be read; the page says which one it was
SHOWN = 4  # how many times larger the small model's videos are shown


def rooms_of(pipeline: Video4SpatialPipeline, context_frames: int = 161) -> RoomsConfig:
    """The rooms that a small model's own settings describe."""
    config = pipeline.config
    return RoomsConfig(
        width=config.width,
        height=config.height,
        fps=config.fps,
        fov=config.fov,
        frames=context_frames,
        tail_frames=config.tail_frames,
    )


def make_demo(pipeline: Video4SpatialPipeline, out: Path, seed: int) -> None:
    """Write ``out``: context.mp4, ground.mp4 (+ .json), navigate.mp4, sheet.png, index.html."""
    console = Console(stderr=True)
    began = time.monotonic()
    config = rooms_of(pipeline)
    console.print(f"rendering a walk through room {seed} ...")
    room = config.room(seed)
    context = plain_video(room, config).clip
    write_video(out / "context.mp4", context)
    scene = pipeline.encode_context(out / "context.mp4")
    targets = room.targets()
    if not targets:
        raise InputError(f"room {seed} has no object that a phrase tells from all others: choose another --room")
    phrase = targets[0].phrase
    console.print(f"grounding: {article(phrase)} ...")
    ground = first_found(pipeline, scene, article(phrase), room.describe())
    console.print("navigating: turn-right by 60 degrees ...")
    path = CameraPath(preset("turn-right", pipeline.config.frames, degrees=60), pipeline.intrinsics)
    navigate = pipeline(scene, path=path)

    for name, result in (("ground", ground), ("navigate", navigate)):
        result.save(out / f"{name}.mp4")
        result.save_json(out / f"{name}.json")
    rows = {
        f"context: the only thing the model is given, {room.describe()}": context.frames,
        f"ground: {article(phrase)} ({answer(ground)})": ground.frames,
        "navigate: turn right by 60 degrees": navigate.frames,
    }
    write_image(out / "sheet.png", contact_sheet(rows))
    enlarged = {"context": context, "ground": marked(ground), "navigate": Clip(navigate.frames, navigate.fps)}
    for name, clip in enlarged.items():
        write_video(out / f"{name}_large.mp4", enlarge(clip))
    seconds = time.monotonic() - began
    with atomic_path(out / "index.html") as temporary:
        temporary.write_text(index_page(list(rows), list(enlarged), seconds), encoding="utf-8")
    console.print(f"done in {seconds:.0f} s: open {out / 'index.html'}")


def first_found(pipeline: Video4SpatialPipeline, scene: EncodedScene, target: str, description: str) -> Result:
    """The first of ``TRIES`` seeds whose clip has a box that can be read; the last one if none has."""
    result = pipeline(scene, target, scene_description=description)
    for seed in range(1, TRIES):
        if result.found is not None:
            break
        Console(stderr=True).print(f"no box could be read: seed {seed} ...")
        result = pipeline(scene, target, scene_description=description, seed=seed)
    return result


def answer(result: Result) -> str:
    """The grounding's answer in words."""
    if result.found is None:
        return f"not found, with seeds 0 to {result.settings['seed']}"
    return f"a box is drawn with seed {result.settings['seed']}; this small model's boxes do not mark the object yet"


def marked(result: Result) -> Clip:
    """The clip with the box that was read back drawn sharply on its last frame, if there is one."""
    frames = result.frames
    if result.found is not None:
        frames = np.concatenate([frames, np.repeat(draw_box(frames[-1], result.found.box)[None], 8, axis=0)])
    return Clip(frames, result.fps)


def enlarge(clip: Clip, factor: int = SHOWN) -> Clip:
    """The clip shown larger, smoothly, for a screen."""
    from PIL import Image

    width, height = clip.size
    size = (width * factor, height * factor)
    frames = [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BICUBIC)) for f in clip.frames]
    return Clip(np.stack(frames), clip.fps)


_STYLE = """
.videos { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: 1.2rem; }
.videos figcaption { min-height: 4.5em; font-size: .92rem; }
"""


def index_page(titles: list[str], names: list[str], seconds: float) -> str:
    """The page that stands beside the videos."""
    figures = "\n".join(
        f"<figure><figcaption>{escaped(title)}</figcaption>"
        f'<video src="{name}_large.mp4" controls loop muted autoplay playsinline></video></figure>'
        for title, name in zip(titles, names, strict=True)
    )
    body = f"""<h1>video4spatial</h1>
<p>The model saw only the first video: no depth, no poses, no reconstruction. The two others are what it generated when
asked. Everything here was made on this machine in {seconds:.0f} seconds, by the small model that ships with the package
(see the model card for what it can and cannot do).</p>
<div class="videos">
{figures}
</div>
<section><h2>Contact sheet</h2><img src="sheet.png" alt="frames of the three videos, evenly spaced"></section>"""
    return page("video4spatial demo", body, _STYLE, beside=True)
