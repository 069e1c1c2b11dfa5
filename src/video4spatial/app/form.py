"""The settings that both tasks share, and forms read as an ``Asked``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from video4spatial.app.asked import Asked, read_numbers, real_number
from video4spatial.app.editor.exchange import from_text
from video4spatial.app.route import FromFile, Preset, Route, Through
from video4spatial.geometry.paths import preset_options
from video4spatial.schema import InputError

MOST_SEEDS = 8
BY_PRESET, BY_WAYPOINTS, BY_FILE = "Preset", "Waypoints", "File"


@dataclass(frozen=True)
class Settings:
    """The fields, in the order that ``read_settings`` takes their values."""

    seed: gr.Number
    best_of: gr.Slider
    steps: gr.Number
    guidance: gr.Textbox
    context_latents: gr.Number
    frames: gr.Number

    @property
    def fields(self) -> list[Any]:
        """Those of the page, in that order."""
        return [self.seed, self.best_of, self.steps, self.guidance, self.context_latents, self.frames]


def settings_fields(config: Any) -> Settings:
    """The fields, drawn where this is called; empty ones mean the model's own value."""
    with gr.Row():
        seed = gr.Number(0, label="Seed", info="One seed, one clip.", precision=0, minimum=0, min_width=120)
        best_of = gr.Slider(
            1, MOST_SEEDS, 1, step=1, label="Best of", info="Seeds to try; each is checked, the best is kept."
        )
    with gr.Accordion("More settings", open=False), gr.Row():
        steps = gr.Number(int(config.steps), label="Steps", precision=0, minimum=1, min_width=120)
        guidance = gr.Textbox(
            label="Guidance", info="A number.", placeholder="the model's own", lines=1, max_lines=1, min_width=120
        )
        latents = gr.Number(int(config.context_latents), label="Context latents", precision=0, minimum=0, min_width=120)
        frames = gr.Number(int(config.frames), label="Frames", info="4k + 1", precision=0, min_width=120)
    return Settings(seed, best_of, steps, guidance, latents, frames)


def read_settings(values: tuple[Any, ...]) -> dict[str, Any]:
    """The fields' values as ``Asked`` takes them.

    Raises:
        InputError: something that is no number.
    """
    seed, best_of, steps, guidance, context_latents, frames = values
    return read_numbers(
        seed=seed, best_of=best_of, steps=steps, guidance=guidance, context_latents=context_latents, frames=frames
    )


def ground_ask(sentence: str, place: str, *settings: Any) -> Asked:
    """The form of *Ground*."""
    sentence, place = (sentence or "").strip(), (place or "").strip()
    if not sentence:
        raise InputError("say what to go to: name an object, for example 'the red armchair'")
    return Asked(instruction=sentence, scene_description=place or None, **read_settings(settings))


def navigate_ask(
    source: str, name: str, degrees: Any, metres: Any, waypoints: str, file: str | None, *settings: Any
) -> Asked:
    """The form of *Navigate*."""
    return Asked(route=route_of(source, name, degrees, metres, waypoints, file), **read_settings(settings))


def route_of(source: str, name: str, degrees: Any, metres: Any, waypoints: str, file: str | None) -> Route:
    """Where the camera is to go, as the form says it."""
    if source == BY_WAYPOINTS:
        return Through(tuple(from_text(waypoints or "")))
    if source == BY_FILE:
        if not file:
            raise InputError("there is no path file yet: choose one, or a preset, or write waypoints")
        return FromFile(Path(file), name=Path(file).name)
    return preset_of(name, degrees, metres)


def preset_of(name: str, degrees: Any, metres: Any) -> Preset:
    """A preset; numbers that it does not take are left out, for their fields stay on the page."""
    taken = {"degrees": real_number(degrees, "degrees"), "metres": real_number(metres, "metres")}
    for option in takes_not(name):
        taken[option] = None
    return Preset(name, **taken)


def takes_not(name: str) -> list[str]:
    """Which of degrees and metres a preset does not take."""
    taken = preset_options(name)
    return [option for option in ("degrees", "metres") if option not in taken]
