"""The viewer's controls: everything that can be dragged can also be typed, and reached with Tab alone."""

import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import viser

from video4spatial.app.editor.edit import FULL_TURN, MAX_METRES, NAMES, PathEdit
from video4spatial.app.editor.exchange import preset_waypoints, rows
from video4spatial.geometry.paths import PRESETS, Waypoint, preset_options
from video4spatial.schema import InputError

if TYPE_CHECKING:
    from video4spatial.app.editor.view import PathEditor

CONVENTION = "**x** right, **y** down, **z** forward. Poses are camera-to-world (OpenCV axes), in metres."
HINTS = {
    "x": "metres to the right",
    "y": "metres down",
    "z": "metres forward",
    "yaw": "positive turns right",
    "pitch": "positive looks up",
    "roll": "positive dips the right side",
}
TYPED_TOGETHER = 2.0  # seconds between changes of one field that are one step of undo


class Panel:
    """Fields and buttons in the viewer, kept in step with the path."""

    def __init__(self, server: viser.ViserServer, editor: "PathEditor"):
        self._gui, self._editor = server.gui, editor
        self._typed: tuple[str, int, float] = ("", 0, 0.0)
        self._gesture = 0
        self._gui.set_panel_label("Camera path")
        self._gui.add_markdown(CONVENTION)
        with self._gui.add_folder("Waypoint"):
            self._choice = self._gui.add_dropdown("Number", _numbers(1), hint="also by a click on its ball")
            self._fields = {name: self._field(name) for name in NAMES}
            self._button("Add after the last", self._add)
            self._button("Insert before this", self._insert)
            self._button("Remove this", lambda: self._change(lambda edit: edit.remove(self._editor.chosen)))
        self._undo = self._button("Undo", lambda: self._change(PathEdit.undo))
        self._redo = self._button("Redo", lambda: self._change(PathEdit.redo))
        with self._gui.add_folder("Time line"):
            self._frame = self._gui.add_slider("Frame", 0, editor.edit.frames - 1, 1, 0)
            self._play = self._button("Play", self._play_or_pause)
            self._through = self._gui.add_checkbox("Look through the camera", False)
            self._button("Show the whole path", editor.show_all)
        with self._gui.add_folder("Preset", expand_by_default=False):
            self._preset = self._gui.add_dropdown("Path", PRESETS)
            self._degrees = self._gui.add_number("Degrees", 90.0, min=-720.0, max=720.0, step=5.0)
            self._metres = self._gui.add_number("Metres", 1.0, min=-MAX_METRES, max=MAX_METRES, step=0.1)
            self._button("Use this preset", self._use_preset)
        self._choice.on_update(self._by_person(lambda: editor.choose(int(self._choice.value.split()[0]))))
        self._frame.on_update(self._by_person(lambda: editor.playback.go(int(self._frame.value))))
        self._through.on_update(self._by_person(lambda: editor.playback.look_through(self._through.value)))
        self._preset.on_update(self._by_person(self._take_options))
        self._take_options()
        undo = self._gui.add_command("Undo a change of the path", hotkey="Z", modifier="cmd/ctrl")
        undo.on_trigger(self._guarded(lambda: self._change(PathEdit.undo)))
        redo = self._gui.add_command("Redo a change of the path", hotkey="Z", modifier="cmd/ctrl+shift")
        redo.on_trigger(self._guarded(lambda: self._change(PathEdit.redo)))

    def show(self, edit: PathEdit, chosen: int) -> None:
        """What the path is now."""
        options = _numbers(len(edit))
        if list(self._choice.options) != options:
            self._choice.options = options
        self._choice.value = options[chosen]
        for (name, field), value in zip(self._fields.items(), rows(edit.waypoints)[chosen], strict=True):
            if round(field.value, 4 if name in NAMES[:3] else 3) != value:
                field.value = value
        self._undo.disabled, self._redo.disabled = not edit.can_undo, not edit.can_redo
        if self._frame.max != edit.frames - 1:
            self._frame.max = edit.frames - 1

    def show_frame(self, frame: int) -> None:
        """The frame that is played."""
        self._frame.value = frame
        label = "Pause" if self._editor.playback.playing else "Play"
        if self._play.label != label:
            self._play.label = label

    def _field(self, name: str) -> viser.GuiNumberHandle[float]:
        metres = name in NAMES[:3]
        most, step = (MAX_METRES, 0.1) if metres else (np.degrees(FULL_TURN), 5.0)
        label = f"{name} (m)" if metres else f"{name} (degrees)"
        field = self._gui.add_number(label, 0.0, min=-float(most), max=float(most), step=step, hint=HINTS[name])
        field.on_update(self._by_person(lambda: self._type(name)))
        return field

    def _type(self, name: str) -> None:
        value, chosen, now = float(self._fields[name].value), self._editor.chosen, time.monotonic()
        before = self._typed
        if before[:2] != (name, chosen) or now - before[2] > TYPED_TOGETHER:
            self._gesture += 1
        self._typed = (name, chosen, now)
        shown = rows(self._editor.waypoints)[chosen][NAMES.index(name)]
        if value != shown:
            exact = value if name in NAMES[:3] else float(np.radians(value))

            def typed(edit: PathEdit) -> None:
                edit.put(chosen, replace(edit.waypoints[chosen], **{name: exact}))

            self._editor.change(typed, gesture=("type", self._gesture))

    def _add(self) -> None:
        self._editor.choose(self._editor.change(lambda edit: edit.add()))

    def _insert(self) -> None:
        self._editor.choose(self._editor.change(lambda edit: edit.insert(max(1, self._editor.chosen))))

    def _change(self, make: Callable[[PathEdit], Any]) -> None:
        self._editor.change(make)

    def _play_or_pause(self) -> None:
        playback = self._editor.playback
        (playback.pause if playback.playing else playback.play)()

    def _options(self) -> dict[str, float]:
        """The fields that the chosen preset takes."""
        fields = {"degrees": self._degrees, "metres": self._metres}
        return {option: float(fields[option].value) for option in preset_options(self._preset.value)}

    def _take_options(self) -> None:
        usual = preset_options(self._preset.value)
        for option, field in (("degrees", self._degrees), ("metres", self._metres)):
            field.disabled = option not in usual
            field.value = usual.get(option, field.value)

    def _use_preset(self) -> None:
        path: list[Waypoint] = preset_waypoints(self._preset.value, **self._options())
        self._editor.change(lambda edit: edit.replace_all(path))
        self._editor.choose(len(path) - 1)

    def _button(self, label: str, act: Callable[[], Any]) -> viser.GuiButtonHandle:
        button = self._gui.add_button(label)
        button.on_click(self._guarded(act))
        return button

    def _by_person(self, act: Callable[[], Any]) -> Callable[[Any], Coroutine[Any, Any, None]]:
        """For inputs: what code sets is no change made by a person."""
        guarded = self._guarded(act)

        async def update(event: Any) -> None:
            if event.client_id is not None:
                await guarded(event)

        return update

    def _guarded(self, act: Callable[[], Any]) -> Callable[[Any], Coroutine[Any, Any, None]]:
        """Run on the event loop, so that changes keep their order; what is refused is said in the viewer."""

        async def run(event: Any) -> None:
            try:
                act()
            except InputError as error:
                client = event.client
                if client is not None:
                    with suppress(RuntimeError):
                        client.add_notification("Not done", str(error), auto_close_seconds=8.0, color="red")

        return run


def _numbers(count: int) -> list[str]:
    """The waypoints' names in the list to choose from."""
    return ["0 start", *map(str, range(1, count))]
