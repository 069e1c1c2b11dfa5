"""The page: a walk-through on the left, what to ask on the right, the asks of this session below."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from video4spatial.app import api, compare, shown, texts
from video4spatial.app.events import MODEL, QUICK, Events
from video4spatial.app.form import Settings, ground_ask, navigate_ask, settings_fields
from video4spatial.app.navigate_tab import PathForm, navigate_form
from video4spatial.app.studio import Studio
from video4spatial.app.styles import SCRIPT


@dataclass(frozen=True)
class Parts:
    """The parts of the page that events write to."""

    progress: gr.HTML
    result: gr.HTML
    compare: gr.HTML
    gallery: gr.HTML
    plan: gr.HTML
    ground: gr.Button
    navigate: gr.Button
    cancel: gr.Button


def build_page(studio: Studio) -> gr.Blocks:
    """The whole page with its events, and the endpoints for clients."""
    day = 24 * 3600
    with gr.Blocks(title=texts.TITLE, analytics_enabled=False, delete_cache=(3600, day)) as page:
        events = Events(studio)
        gr.HTML(
            f'<header class="v4s-head"><h1>{texts.TITLE}</h1>'
            f"<p>{texts.lead(studio.name, studio.makes_rooms)}</p></header>"
        )
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                context = _context_part(studio)
            with gr.Column(scale=3, min_width=320):
                gr.HTML(f'<h2 class="v4s-title">{texts.ASK}</h2>')
                with gr.Tab("Ground", id="ground"):
                    sentence, place, suggestion, ground = _ground_form(studio)
                with gr.Tab("Navigate", id="navigate"):
                    path = navigate_form(studio)
                    navigate = gr.Button("Follow the path", variant="primary")
                settings = settings_fields(studio.pipeline.config)
                plan = gr.HTML("", elem_classes="v4s-facts")
                cancel = gr.Button("Cancel", interactive=False)
                progress = gr.HTML("", elem_id="progress", padding=False)
                result = gr.HTML("", elem_id="result", js_on_load=SCRIPT)
        gr.HTML(f'<h2 class="v4s-title">{texts.ASKS}</h2>')
        pair = gr.HTML("", elem_id="compare", padding=False, js_on_load=compare.SCRIPT)
        gallery = gr.HTML(shown.gallery([]), elem_id="asks", js_on_load=SCRIPT)
        parts = Parts(progress, result, pair, gallery, plan, ground, navigate, cancel)
        _ask_events(events, parts, settings, (sentence, place), path)
        _context_events(events, context, parts, suggestion, [sentence, place, *settings.fields])
        suggestion.input(lambda chosen: chosen or gr.skip(), suggestion, sentence, **QUICK)
        cancel.click(events.stop, None, progress, **QUICK)
        page.unload(events.end)
        api.add_endpoints(studio)
    page.queue(default_concurrency_limit=4, max_size=64)
    return page


@dataclass(frozen=True)
class ContextPart:
    """Where the walk-through is given."""

    video: gr.Video
    number: gr.Number | None
    room: gr.Button | None
    status: gr.HTML


def _context_part(studio: Studio) -> ContextPart:
    limits = studio.limits
    gr.HTML(f'<h2 class="v4s-title">{texts.CONTEXT}</h2>')
    video = gr.Video(
        label="Walk-through video: drop a file, or record one",
        sources=["upload", "webcam"],
        webcam_options=gr.WebcamOptions(mirror=False),
        include_audio=True,  # left as it is: no second encoding
        height=300,
        elem_id="context",
    )
    number = room = None
    if studio.makes_rooms:
        with gr.Row():
            number = gr.Number(
                7, label="Room", info="Any number: a rendered room.", precision=0, minimum=0, min_width=120
            )
            room = gr.Button("Make a room for me", min_width=160)
    status = gr.HTML(
        shown.note(texts.PRIVATE.format(megabytes=limits.megabytes, seconds=limits.seconds)), elem_id="status"
    )
    return ContextPart(video, number, room, status)


def _ground_form(studio: Studio) -> tuple[gr.Textbox, gr.Textbox, gr.Dropdown, gr.Button]:
    sentence = gr.Textbox(label=texts.SENTENCE, placeholder=texts.SENTENCE_HINT, lines=1, max_lines=1, max_length=300)
    suggestions = studio.suggestions()
    suggestion = gr.Dropdown(
        suggestions, value=None, label="Suggestions", info="Words that this model knows.", visible=bool(suggestions)
    )
    place = gr.Textbox(
        label="What the place is (may stay empty)",
        placeholder="a bedroom with two windows",
        lines=1,
        max_lines=1,
        max_length=300,
    )
    return sentence, place, suggestion, gr.Button("Go there", variant="primary")


def _ask_events(
    events: Events, parts: Parts, settings: Settings, ground: tuple[gr.Textbox, gr.Textbox], path: PathForm
) -> None:
    begun, followed = [parts.progress, parts.cancel], [parts.progress, parts.result, parts.gallery, parts.cancel]
    plan_fields = [*ground, *settings.fields]
    begins = [
        gr.on([parts.ground.click, ground[0].submit], events.begin(ground_ask), plan_fields, begun, **QUICK),
        parts.navigate.click(events.begin(navigate_ask), [*path.fields, *settings.fields], begun, **QUICK),
        parts.result.click(events.again, None, begun, **QUICK),
        parts.gallery.click(events.again, None, begun, **QUICK),
    ]
    for begin in begins:
        begin.then(events.wait, None, parts.progress, **_WAITS)
        made = begin.then(events.follow, None, followed, **_TURNS, show_progress_on=parts.progress)
        made.then(events.compare, None, parts.compare, **QUICK)
        made.then(events.plan, plan_fields, parts.plan, **QUICK)
    for field in settings.fields:
        field.change(events.plan, plan_fields, parts.plan, trigger_mode="always_last", **QUICK)


def _context_events(
    events: Events, context: ContextPart, parts: Parts, suggestion: gr.Dropdown, plan_fields: list[Any]
) -> None:
    begun, followed = [context.status, parts.cancel], [context.status, context.video, suggestion, parts.cancel]
    given = [context.video.upload, context.video.stop_recording]
    begins = [gr.on(given, events.check, context.video, begun, **QUICK)]
    if context.room is not None:
        begins.append(context.room.click(events.room, context.number, begun, **QUICK))
    for begin in begins:
        begin.then(events.wait, None, context.status, **_WAITS)
        made = begin.then(events.follow_context, None, followed, **_TURNS, show_progress_on=context.status)
        made.then(events.plan, plan_fields, parts.plan, **QUICK)


_TURNS: dict[str, Any] = {**MODEL, **QUICK, "queue": True, "show_progress": "minimal", "trigger_mode": "multiple"}
_WAITS: dict[str, Any] = {**QUICK, "queue": True, "concurrency_limit": None, "trigger_mode": "multiple"}
