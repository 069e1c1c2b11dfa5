"""The judges there are, by name."""

import os
from pathlib import Path
from typing import Any

from video4spatial.evaluate.judge import Judge
from video4spatial.schema import InputError

JUDGES = ("rooms", "server", "local")


def open_judge(
    which: str, server: str | None = None, model: str | None = None, cache: str | Path = "", device: str = "cpu"
) -> Judge:
    """ "rooms": the shipped detector, which knows rooms' words only; "server": the VLM ``model`` behind the
    OpenAI-compatible ``server`` (a key is taken from OPENAI_API_KEY); "local": that of the folder ``model``, through
    transformers, on ``device``. ``cache``: the file that keeps a VLM's answers.

    Raises ``InputError`` for another name, and where what a VLM needs is not given.
    """
    if which not in JUDGES:
        raise InputError(f"there is no judge {which!r}: use one of {', '.join(JUDGES)}")
    if which == "rooms":
        from video4spatial.evaluate.rooms_judge import RoomsJudge

        return RoomsJudge()
    if model is None or (which == "server" and server is None) or not str(cache):
        raise InputError(f"the judge {which!r} needs a model's name, a file for its answers, and a server its address")
    from video4spatial.evaluate.vlm_judge import VLMJudge
    from video4spatial.vlm.asking import Asker
    from video4spatial.vlm.cache import AnswerCache

    if which == "local":
        from video4spatial.vlm.local import LocalVLM

        vlm: Any = LocalVLM(model, device=device)
    else:
        assert server is not None
        from video4spatial.vlm.server import ServerVLM

        vlm = ServerVLM(model, server, os.environ.get("OPENAI_API_KEY", "EMPTY"))
    return VLMJudge(Asker(vlm, AnswerCache(cache)))
