"""The editor in a Gradio page: the viewer beside a table of exact numbers, each following the other."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from video4spatial.app.editor.edit import PathEdit
from video4spatial.app.editor.exchange import export_path, from_text, import_path, text_of
from video4spatial.app.editor.sessions import Editors
from video4spatial.app.editor.view import PathEditor
from video4spatial.app.events import QUICK
from video4spatial.app.shown import address
from video4spatial.geometry.formats import FORMATS
from video4spatial.schema import InputError

SECONDS = 0.7  # between looks at what was changed in the viewer


@dataclass(frozen=True)
class EditorPart:
    """The parts of the page that the editor has."""

    opens: gr.Button
    viewer: gr.HTML
    told: gr.HTML
    file: gr.UploadButton
    exported: gr.HTML
    follow: Callable[[Any], None]
    """Given the event of a component that writes the table: the editor shows what was written."""


def editor_part(editors: Editors, table: gr.Textbox) -> EditorPart:
    """Draw the editor where this is called, and keep ``table`` (``exchange.text_of``) and it in step.

    The page's ``unload`` event is the caller's: it has to call ``editors.end``.
    """
    opens = gr.Button("Open the 3D editor", elem_id="open-editor", size="sm")
    viewer = gr.HTML("", elem_id="path-editor")
    with gr.Row(visible=False) as steps:
        undo = gr.Button("Undo", size="sm", min_width=80, elem_id="path-undo")
        redo = gr.Button("Redo", size="sm", min_width=80, elem_id="path-redo")
    with gr.Row():
        file = gr.UploadButton("Import a path", file_count="multiple", size="sm", min_width=120, elem_id="path-import")
        format = gr.Dropdown(list(FORMATS), value=FORMATS[0], label="Format to export", min_width=160)
        export = gr.Button("Export the path", size="sm", min_width=120, elem_id="path-export")
    exported = gr.HTML("", elem_id="path-exported")
    told = gr.HTML("", elem_id="path-told")
    seen, timer = gr.State(0), gr.Timer(SECONDS, active=False)

    def open_(text: str, request: gr.Request) -> tuple[Any, ...]:
        editor = editors.open(request.session_hash, text)
        shown = gr.update(value=frame_of(editor)), gr.update(visible=False), gr.update(visible=True)
        return *shown, text_of(editor.waypoints), editor.version, gr.Timer(active=True), ""

    def look(version: int, request: gr.Request) -> tuple[Any, Any]:
        editor = editors.find(request.session_hash)
        if editor is None or editor.version == version:
            return gr.skip(), gr.skip()
        return text_of(editor.waypoints), editor.version

    def write(text: str, request: gr.Request) -> tuple[Any, Any]:
        editor = editors.find(request.session_hash)
        if editor is None:
            return gr.skip(), ""
        editor.set_waypoints(from_text(text, editor.waypoints))
        return editor.version, ""

    def step(act: Callable[[PathEdit], Any]) -> Callable[..., tuple[Any, ...]]:
        def taken(request: gr.Request) -> tuple[Any, ...]:
            editor = editors.find(request.session_hash)
            if editor is None:
                raise InputError("this path editor was closed: reload the page")
            editor.change(act)
            return text_of(editor.waypoints), editor.version, ""

        return taken

    def import_(files: list[str], request: gr.Request) -> tuple[Any, ...]:
        found = import_path(files, editors.intrinsics, editors.frames)
        path = PathEdit(found.waypoints, editors.frames)
        editor = editors.find(request.session_hash)
        if editor is not None:
            editor.set_waypoints(path.waypoints)
        return text_of(path.waypoints), editor.version if editor is not None else gr.skip(), note(found.said)

    def export_(text: str, format: str, request: gr.Request) -> tuple[Any, ...]:
        editor = editors.find(request.session_hash)
        path = PathEdit(from_text(text, editor.waypoints if editor is not None else ()), editors.frames)
        written = export_path(editors.folder(request.session_hash or ""), path, editors.intrinsics, format, editors.fps)
        return link_to(written), note(f"Written as {written.name}.")

    opened = [viewer, opens, steps, table, seen, timer, told]
    opens.click(_said(open_, len(opened)), table, opened, **QUICK)
    timer.tick(look, seen, [table, seen], **QUICK)
    gr.on([table.blur, table.submit], _said(write, 2), table, [seen, told], **QUICK)
    undo.click(_said(step(PathEdit.undo), 3), None, [table, seen, told], **QUICK)
    redo.click(_said(step(PathEdit.redo), 3), None, [table, seen, told], **QUICK)
    file.upload(_said(import_, 3), file, [table, seen, told], **QUICK)
    export.click(_said(export_, 2), [table, format], [exported, told], **QUICK)

    def follow(event: Any) -> None:
        event.then(_said(write, 2), table, [seen, told], **QUICK)

    return EditorPart(opens, viewer, told, file, exported, follow)


def frame_of(editor: PathEditor) -> str:
    """The viewer in the page."""
    url = html.escape(editor.url, quote=True)
    style = "width:100%;height:min(600px,85vh);border:1px solid var(--border-color-primary,#ccc);border-radius:6px"
    return f'<iframe src="{url}" title="Camera path editor in 3D" style="{style}"></iframe>'


def link_to(file: Path) -> str:
    """A link to where the file lies: a ``gr.File`` would keep a copy that outlives the session."""
    url, name = html.escape(address(file), quote=True), html.escape(file.name, quote=True)
    return f'<p class="v4s-row"><a href="{url}" download="{name}">Download {name}</a></p>'


def note(words: str, bad: bool = False) -> str:
    """A sentence for everybody, screen readers included."""
    role = "alert" if bad else "status"
    return f'<p role="{role}" class="v4s-note{" v4s-bad" if bad else ""}">{html.escape(words)}</p>'


def _said(act: Callable[..., tuple[Any, ...]], outputs: int) -> Callable[..., tuple[Any, ...]]:
    """What is refused is said in the last output; the others stay as they are."""

    @wraps(act)
    def guarded(*values: Any, **named: Any) -> tuple[Any, ...]:
        try:
            return act(*values, **named)
        except InputError as error:
            return *[gr.skip()] * (outputs - 1), note(str(error), bad=True)

    return guarded
