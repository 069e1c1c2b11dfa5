"""The form of *Navigate*: a preset, exact waypoints, or a path file; each can become the next."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from video4spatial.app import shown, texts
from video4spatial.app.editor.exchange import text_of
from video4spatial.app.editor.tab import editor_part
from video4spatial.app.events import QUICK
from video4spatial.app.form import BY_FILE, BY_PRESET, BY_WAYPOINTS, route_of, takes_not
from video4spatial.app.route import PRESETS, waypoints_along
from video4spatial.app.studio import Studio
from video4spatial.geometry.formats import FORMATS
from video4spatial.schema import InputError


@dataclass(frozen=True)
class PathForm:
    """The fields, in the order that ``form.navigate_ask`` takes their values."""

    source: gr.Radio
    preset: gr.Dropdown
    degrees: gr.Number
    metres: gr.Number
    waypoints: gr.Textbox
    file: gr.File

    @property
    def fields(self) -> list[Any]:
        """Those of the page, in that order."""
        return [self.source, self.preset, self.degrees, self.metres, self.waypoints, self.file]


def navigate_form(studio: Studio) -> PathForm:
    """The fields, drawn where this is called, with the events among them."""
    source = gr.Radio([BY_PRESET, BY_WAYPOINTS, BY_FILE], value=BY_PRESET, label="Path from")
    with gr.Group() as by_preset, gr.Row():
        name = gr.Dropdown(list(PRESETS), value="turn-left", label="Preset", min_width=140)
        degrees = gr.Number(45, label="Degrees", min_width=100)
        metres = gr.Number(1, label="Metres", min_width=100, interactive=False)
    with gr.Column(visible=False) as by_waypoints:
        waypoints = gr.Textbox(
            texts.EXAMPLE_WAYPOINTS, label="Waypoints", info=texts.WAYPOINTS_INFO, lines=4, elem_id="waypoints"
        )
        editor = editor_part(studio.editors, waypoints)
    with gr.Group(visible=False) as by_file:
        file = gr.File(label=f"Path file: {', '.join(FORMATS)}", file_count="single", height=120)
    to_waypoints = gr.Button("Write this path as waypoints", size="sm")
    told = gr.HTML("")
    form = PathForm(source, name, degrees, metres, waypoints, file)

    def choose(chosen: str) -> tuple[Any, ...]:
        parts = [gr.update(visible=chosen == way) for way in (BY_PRESET, BY_WAYPOINTS, BY_FILE)]
        return *parts, gr.update(visible=chosen != BY_WAYPOINTS)

    def options(preset: str) -> tuple[Any, Any]:
        missing = takes_not(preset)
        return gr.update(interactive="degrees" not in missing), gr.update(interactive="metres" not in missing)

    def written(*fields: Any) -> tuple[Any, ...]:
        try:
            route = route_of(*fields)
            points = waypoints_along(route, studio.pipeline.intrinsics, int(studio.pipeline.config.frames))
        except InputError as error:
            return gr.skip(), gr.skip(), shown.note(str(error), "bad")
        return BY_WAYPOINTS, text_of(points), ""

    def keep(given: str | list[str], request: gr.Request) -> None:
        with suppress(InputError):  # no more sessions: Gradio removes the file after a day
            for path in [given] if isinstance(given, str) else given:
                studio.session(request.session_hash).claim(path)

    for upload in (file, editor.file):
        upload.upload(keep, upload, None, **QUICK)
    source.change(choose, source, [by_preset, by_waypoints, by_file, to_waypoints], **QUICK)
    name.change(options, name, [degrees, metres], **QUICK)
    editor.follow(to_waypoints.click(written, form.fields, [source, waypoints, told], **QUICK))
    return form
