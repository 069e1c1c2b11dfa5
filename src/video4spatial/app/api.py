"""The same asks for scripts and robots, by Gradio's client: encode, ground, navigate, status, cancel.

A client has a session of its own, as a tab has. What is refused raises ``gradio_client.exceptions.AppError`` with the
reason; an ask that was made gives its video and its answer, "not found" included.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from video4spatial.app.asked import Asked, Outcome, read_numbers
from video4spatial.app.editor.exchange import from_rows
from video4spatial.app.events import MODEL
from video4spatial.app.form import preset_of
from video4spatial.app.route import FromFile, Route, Through
from video4spatial.app.running import Cancelled, Done, Step
from video4spatial.app.session import Session
from video4spatial.app.studio import Studio
from video4spatial.schema import InputError


class Endpoints:
    """What clients call."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def encode(self, request: gr.Request, video: str) -> dict[str, Any]:
        """Check a walk-through and encode it; asks then refer to it."""
        session = self._session(request)
        try:
            checked = session.check(video)
            for event in session.encode(checked):
                if isinstance(event, Done):
                    scene = event.result.scene
                    facts = {"frames": checked.frames, "fps": round(checked.fps, 3), "latents": len(scene)}
                    chosen = event.result.chosen(int(self.studio.pipeline.config.context_latents))
                    return facts | {"width": checked.width, "height": checked.height, "context_index": list(chosen)}
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Cancelled:
            raise gr.Error("cancelled", print_exception=False) from None
        raise AssertionError("encoding ended without a result")

    def ground(
        self,
        request: gr.Request,
        instruction: str,
        seed: float = 0,
        steps: float | None = None,
        guidance: float | None = None,
        best_of: float = 1,
        place: str = "",
    ) -> Iterator[tuple[Any, Any]]:
        """Go to an object: the video, and the answer with its box."""
        session = self._session(request)
        asked = self._read(
            lambda: Asked(
                instruction=instruction,
                scene_description=place or None,
                **read_numbers(seed=seed, steps=steps, guidance=guidance, best_of=best_of),
            )
        )
        yield from self._ask(session, asked)

    def navigate(
        self,
        request: gr.Request,
        preset: str = "turn-left",
        degrees: float | None = None,
        metres: float | None = None,
        waypoints: Any = None,
        path_file: str | None = None,
        seed: float = 0,
        steps: float | None = None,
        guidance: float | None = None,
        best_of: float = 1,
    ) -> Iterator[tuple[Any, Any]]:
        """Follow a preset; or waypoints, rows of x, y, z in metres, yaw, pitch, roll in degrees; or a path file."""
        session = self._session(request)

        def read() -> Asked:
            route: Route
            if path_file:
                route = FromFile(Path(path_file), name=Path(path_file).name)
            elif waypoints is not None:
                if not isinstance(waypoints, list) or not all(isinstance(row, list) for row in waypoints):
                    raise InputError("waypoints is no list of rows: give [[x, y, z, yaw, pitch, roll], ...]")
                route = Through(tuple(from_rows(waypoints)))
            else:
                route = preset_of(preset, degrees, metres)
            return Asked(route=route, **read_numbers(seed=seed, steps=steps, guidance=guidance, best_of=best_of))

        yield from self._ask(session, self._read(read))

    def status(self, request: gr.Request) -> dict[str, Any]:
        """Whether a walk-through is encoded, what runs and waits, and the asks so far."""
        session = self._session(request)
        jobs = [
            {
                "what": job.what,
                "state": job.state,
                **({"step": job.step.done, "of": job.step.total} if job.step else {}),
            }
            for job in session.alive()
        ]
        return {
            "model": self.studio.name,
            "encoded": session.context is not None,
            "jobs": jobs,
            "jobs_of_all_sessions": self.studio.waiting(),
            "asks": [{"number": a.number, "asked": a.asked.words, "state": a.state} for a in session.asks],
        }

    def cancel(self, request: gr.Request) -> dict[str, Any]:
        """Stop what this session runs and has waiting."""
        return {"cancelled": self._session(request).cancel()}

    def _session(self, request: gr.Request) -> Session:
        return self._read(lambda: self.studio.session(request.session_hash))

    def _read(self, read: Any) -> Any:
        try:
            return read()
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def _ask(self, session: Session, asked: Asked) -> Iterator[tuple[Any, Any]]:
        for event in session.ask(asked):
            if isinstance(event, Step):
                yield None, {"state": "running", "step": event.done, "of": event.total}
                continue
            outcome: Outcome = event.result
            if outcome.state in ("refused", "failed"):
                raise gr.Error(outcome.message, print_exception=False)
            video = str(outcome.files["video"]) if outcome.made else None
            yield video, outcome.to_json()


def add_endpoints(studio: Studio) -> None:
    """Add the endpoints to the page that is being built; their fields are not shown."""
    endpoints = Endpoints(studio)
    with gr.Row(visible=False):
        video, answer = gr.File(label="video"), gr.JSON(label="answer")
        walk, path_file = gr.File(label="walk-through"), gr.File(label="path file")
        instruction, place = gr.Textbox(label="instruction"), gr.Textbox("", label="place")
        preset, waypoints = gr.Textbox("turn-left", label="preset"), gr.JSON(None, label="waypoints")
        degrees, metres = gr.Number(None, label="degrees"), gr.Number(None, label="metres")
        seed, steps = gr.Number(0, label="seed"), gr.Number(None, label="steps")
        guidance, best_of = gr.Number(None, label="guidance"), gr.Number(1, label="best of")
        go = gr.Button("call")
    numbers = [seed, steps, guidance, best_of]
    made = [video, answer]
    go.click(endpoints.encode, [walk], answer, api_name="encode", **MODEL)
    go.click(endpoints.ground, [instruction, *numbers, place], made, api_name="ground", **MODEL)
    path = [preset, degrees, metres, waypoints, path_file, *numbers]
    go.click(endpoints.navigate, path, made, api_name="navigate", **MODEL)
    go.click(endpoints.status, None, answer, api_name="status", queue=False)
    go.click(endpoints.cancel, None, answer, api_name="cancel", queue=False)
