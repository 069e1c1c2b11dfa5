"""Instruction Following as a metric of an evaluation (the question and its answers: ``judge``)."""

from functools import cached_property
from typing import Any

from video4spatial.evaluate.cases import CaseContent, Task
from video4spatial.evaluate.generated import Video
from video4spatial.evaluate.judge import Judge, JudgedClip
from video4spatial.evaluate.judges import JUDGES, open_judge
from video4spatial.evaluate.metric import Column, Score, Value
from video4spatial.evaluate.outcome import NotComputed
from video4spatial.schema import InputError

_GROUNDING: tuple[Task, ...] = ("grounding",)
_ABSENT: tuple[Task, ...] = ("absent",)


class InstructionFollowing:
    """IF: the share of videos that end with the target in the frame's centre; for absent objects whether the judge sees
    one nevertheless, anywhere (``false_shown``) or where it would have been a success (``false_followed``).

    Args:
        judge: "rooms", the shipped detector, which knows rooms' words only; "server", a VLM behind an OpenAI-compatible
            server (``server``: its address, ``model``: its name; a key is taken from OPENAI_API_KEY); "local", one of a
            folder (``model``), through transformers, on ``device``.
        cache: a file that keeps the VLM's answers.

    A judge that cannot be asked leaves the video without a value, to be asked again; nonsense and refusals have failed.
    """

    name = "following"
    version = 2
    tasks: tuple[Task, ...] = ("grounding", "absent")
    columns = (
        Column("if", "IF", rate=True, without_video=False, digits=4, tasks=_GROUNDING),
        Column("shown", "target in the frame", rate=True, without_video=False, digits=2, tasks=_GROUNDING),
        Column("false_shown", "judge sees it", "lower", rate=True, digits=2, tasks=_ABSENT),
        Column("false_followed", "judge sees it centred", "lower", rate=True, digits=2, tasks=_ABSENT),
    )

    def __init__(
        self,
        judge: str = "rooms",
        server: str | None = None,
        model: str | None = None,
        cache: str = "runs/judge-answers.jsonl",
        device: str = "cpu",
    ) -> None:
        if judge not in JUDGES:
            raise InputError(f"following.judge is {judge!r}: use one of {', '.join(JUDGES)}")
        if judge != "rooms" and model is None:
            raise InputError(f"following.judge={judge} needs --set following.model=NAME")
        if (judge == "server") != (server is not None):
            raise InputError("--set following.judge=server and following.server=http://HOST:8000/v1 go together")
        self.which, self.server, self.model, self.cache, self.device = judge, server, model, cache, device

    @cached_property
    def judge(self) -> Judge:
        """Opened when the first video is judged."""
        return open_judge(self.which, self.server, self.model, self.cache, self.device)

    @property
    def settings(self) -> dict[str, Any]:
        return {"judge": self.judge.identity}

    def __call__(self, content: CaseContent, video: Video) -> Score | NotComputed:
        clip = JudgedClip(video.frames, content.case.target, video.tail_frames)
        (verdict,) = self.judge.verdicts([clip])
        followed = verdict.followed
        if followed is None:
            return NotComputed(f"{verdict.outcome}: {verdict.reason}", keep=False)
        values: dict[str, Value] = {column.key: None for column in self.columns}
        if content.case.task == "absent":
            values |= {"false_shown": verdict.found, "false_followed": followed}
        else:
            values |= {"if": followed, "shown": verdict.found}
        notes: dict[str, Any] = {"outcome": str(verdict.outcome)}
        if verdict.box is not None:
            corners = (verdict.box.x0, verdict.box.y0, verdict.box.x1, verdict.box.y1)
            notes["box"] = [round(float(v), 2) for v in corners]
        if verdict.reason:
            notes["reason"] = verdict.reason
        return Score(values, notes)
