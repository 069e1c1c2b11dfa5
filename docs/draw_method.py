"""Draws the pictures of docs/method.md from the code that they explain: docs/images/method-*.png.

python docs/draw_method.py
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from video4spatial.data.rooms import RoomsConfig, grounding_video, plain_video
from video4spatial.data.windows import available_context, choose_context
from video4spatial.flow import add_noise
from video4spatial.geometry.boxes import iou, read_box_tail
from video4spatial.model.context import CONTEXT_GAP, MAX_TIMESTEP, Sequence, assemble
from video4spatial.sample.guidance import CONDITIONAL, NULL, Conditions, Guidance
from video4spatial.schema import Box

IMAGES = Path(__file__).parent / "images"
SCALE, WIDTH = 2, 900
INK, FAINT, CONTEXT, FIRST, NOISY = (40, 40, 48), (120, 120, 130), (40, 80, 200), (30, 140, 60), (200, 70, 40)
ROOM, ROOMS = 7, RoomsConfig(width=120, height=80, frames=81, tail_frames=8, fps=16.0, difficulty=0.3, rays=24)


class Sheet:
    """A white picture to draw on, twice as large as it is shown."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), "white")
        self.draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, words: str, colour=INK, size=13, anchor="mm") -> None:
        font = ImageFont.load_default(size * SCALE)
        self.draw.text((x * SCALE, y * SCALE), words, colour, font, anchor=anchor)

    def box(self, x: float, y: float, width: float, height: float, outline, fill=None, line=2) -> None:
        corners = [v * SCALE for v in (x, y, x + width, y + height)]
        self.draw.rectangle(corners, fill, outline, line * SCALE)

    def line(self, *points: float, colour=INK, width=1) -> None:
        self.draw.line([v * SCALE for v in points], colour, width * SCALE)

    def frame(self, x: float, y: float, pixels: np.ndarray, width: int, outline) -> None:
        height = width * pixels.shape[0] // pixels.shape[1]
        shown = Image.fromarray(pixels).resize((width * SCALE, height * SCALE), Image.Resampling.LANCZOS)
        self.image.paste(shown, (round(x * SCALE), round(y * SCALE)))
        self.box(x, y, width, height, outline)

    def done(self) -> Image.Image:
        small = self.image.resize((WIDTH, self.height), Image.Resampling.LANCZOS)
        return small.quantize(200, dither=Image.Dither.NONE)


def sequence_of(context: np.ndarray, target: int, sigma: float, vanilla: bool = False) -> Sequence:
    """The model's own sequence for these context latents and a target of so many, of one value a latent."""
    index = torch.as_tensor(context)[None]
    blank = torch.zeros(1, 1, len(context) + target, 1, 1)
    parts = blank[:, :, : len(context)], index, blank[:, :, len(context) :]
    return assemble(*parts, timestep=torch.tensor([1000 * sigma]), vanilla_rope=vanilla)


def colour_of(position: int, sequence: Sequence) -> tuple[int, int, int]:
    if position < sequence.context_frames:
        return CONTEXT
    return FIRST if position == sequence.context_frames else NOISY


def draw_sequence() -> Image.Image:
    """A walk's latents, some of them context, and a clip being denoised: what the transformer is given."""
    room = ROOMS.room(ROOM)
    walk = plain_video(room, ROOMS).clip.frames
    clip = a_grounding(room).clip.frames
    context = choose_context(available_context((len(walk) - 1) // 4 + 1, None), 5, "uniform")
    sequence = sequence_of(context, 4, sigma=0.6)
    sheet, width, top = Sheet(170), 90, 44
    ends = np.linspace(0, len(clip) - ROOMS.tail_frames - 1, 4).astype(int)
    noise = np.random.default_rng(0).normal(0.5, 0.25, clip[0].shape)
    left = 12.0
    for position, (index, time) in enumerate(zip(sequence.frame_index[0], sequence.timestep[0], strict=True)):
        context_here = position < len(context)
        pixels = walk[4 * int(index)] if context_here else clip[ends[position - len(context)]]
        if float(time) > 0:
            levels = [torch.as_tensor(v)[None].float() for v in (pixels / 255, noise)]
            noisy = add_noise(*levels, sigma=torch.tensor([float(time) / 1000]))[0]
            pixels = (noisy.clamp(0, 1) * 255).byte().numpy()
        left += 22 if position == len(context) else 0
        colour = colour_of(position, sequence)
        sheet.frame(left, top, pixels, width, colour)
        sheet.text(left + width / 2, top + 74, f"t = {float(time):.0f}", colour)
        sheet.text(left + width / 2, top + 92, f"index {int(index)}", FAINT)
        left += width + 4
    middle = 12 + 5 * (width + 4) + 9
    sheet.text(12, 22, "context: clean latents of the walk", CONTEXT, 15, "lm")
    sheet.text(middle + 11, 22, "target: first frame given, the rest noisy", NOISY, 15, "lm")
    sheet.line(middle, 36, middle, 146, colour=FAINT)
    sheet.text(WIDTH / 2, 157, "one sequence through one transformer; every token attends to every token", INK, 13)
    return sheet.done()


def draw_indices() -> Image.Image:
    """Temporal indices of the paper's lengths: 42 context latents out of 85, a gap of 50, 46 target latents."""
    context = choose_context(available_context(85, None), 42, "scattered", np.random.default_rng(0))
    sheet = Sheet(170)
    for row, vanilla in enumerate((False, True)):
        sequence, y = sequence_of(context, 46, 0.6, vanilla), 52 + 70 * row
        title = "as trained: context keeps the indices of its video" if not vanilla else "contiguous (an ablation)"
        sheet.text(20, y - 26, title, INK, 14, "lm")
        at = [20 + 4.6 * int(index) for index in sequence.frame_index[0]]
        sheet.line(20, y + 10, WIDTH - 20, y + 10, colour=(210, 210, 214))
        for position, x in enumerate(at):
            sheet.box(x, y - 8, 3.2, 16, colour_of(position, sequence), colour_of(position, sequence), 1)
        last, first = int(sequence.frame_index[0, 41]), int(sequence.frame_index[0, 42])
        ends = sorted({int(sequence.frame_index[0, 0]), last, first, int(sequence.frame_index[0, -1])})
        for index in ends if not vanilla else ends[:2] + ends[3:]:
            sheet.text(21.5 + 4.6 * index, y + 20, str(index), FAINT, 11)
        if not vanilla:
            sheet.text(20 + 2.3 * (last + first), y, f"gap of {CONTEXT_GAP}", FAINT, 13)
    return sheet.done()


def draw_guidance() -> Image.Image:
    """The two branches as the sampler makes them: what each has in the context's place, and its timesteps."""
    blank = torch.zeros(1, 1, 5, 1, 1)
    parts = {"context": blank, "context_index": torch.arange(5)[None] * 5, "context_noise": blank + 1}
    text, camera = torch.zeros(1, 1, 1), torch.zeros(1, 24, 4, 1, 1)
    conditions = Conditions(**parts, text=text, null_text=text, camera=camera, gap=CONTEXT_GAP)
    sheet = Sheet(208)
    for row, (branch, words) in enumerate(((CONDITIONAL, "instruction"), (NULL, "empty"))):
        sequence = conditions.sequence(branch, Guidance(), "noise").renew(
            torch.zeros(1, 1, 4, 1, 1), torch.tensor(600.0)
        )
        y = 40 + 74 * row
        sheet.text(12, y + 20, f"{branch}", INK, 14, "lm")
        sheet.box(112, y, 96, 40, INK, (246, 246, 240))
        sheet.text(160, y + 20, words, INK, 13)
        for position, time in enumerate(sequence.timestep[0].tolist()):
            noisy, left = time == MAX_TIMESTEP, 228 + 62 * position + (26 if position >= 5 else 0)
            colour = NOISY if noisy else colour_of(position, sequence)
            sheet.box(left, y, 56, 40, colour, (250, 236, 230) if time > 0 else (232, 240, 250))
            sheet.text(left + 28, y + 13, "noise" if noisy else ("noisy" if time > 0 else "clean"), colour, 12)
            sheet.text(left + 28, y + 28, f"t = {time:.0f}", FAINT, 11)
    sheet.text(160, 24, "sentence", FAINT, 12)
    sheet.text(228 + 152, 24, "context", FAINT, 12)
    sheet.text(254 + 62 * 5 + 124, 24, "target", FAINT, 12)
    formula = "v  =  v_null  +  w ( v_conditional - v_null )"
    sheet.text(WIDTH / 2, 190, formula, INK, 16)
    return sheet.done()


def a_grounding(room):
    """A walk that ends at an object of the room, with its box tail."""
    return grounding_video(room, room.targets()[0], ROOMS, seed=1)


def draw_tail() -> Image.Image:
    """The end of a grounding clip: the view comes to rest on the object, the last frame is held, a box is drawn."""
    video = a_grounding(ROOMS.room(ROOM))
    frames, tail = video.clip.frames, ROOMS.tail_frames
    found = read_box_tail(frames, tail)
    assert found is not None
    truth = Box(*video.meta["box"])
    sheet, width = Sheet(196), 168
    for number, frame in enumerate((-tail - 25, -tail - 9, -tail - 1, -tail, -1)):
        marked = frame >= -tail
        left = 12 + number * (width + 9)
        sheet.frame(left, 40, frames[frame], width, NOISY if marked else FAINT)
        sheet.text(left + width / 2, 166, f"frame {len(frames) + frame}", FAINT, 12)
    sheet.text(12, 20, "the moving frames", INK, 15, "lm")
    sheet.text(12 + 3 * (width + 9), 20, f"the box tail: {tail} frames, held", NOISY, 15, "lm")
    said = f"read back from the tail: IoU {iou(found[0], truth):.2f} with the box that was drawn"
    sheet.text(WIDTH - 14, 186, said, INK, 13, "rm")
    return sheet.done()


PICTURES = {"sequence": draw_sequence, "indices": draw_indices, "guidance": draw_guidance, "tail": draw_tail}


def main() -> None:
    for name, draw in PICTURES.items():
        draw().save(IMAGES / f"method-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
