"""A process of its own: the tiny random Qwen3-VL of ``vlm/tiny_vlm.py`` judges two videos, twice."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from vlm.tiny_vlm import make, with_torchvision


def main(folder: Path) -> None:
    """Print what it said, as JSON, on the last line."""
    with_torchvision()
    make(folder / "model")
    import numpy as np

    from video4spatial.evaluate.judge import JudgedClip
    from video4spatial.evaluate.vlm_judge import VLMJudge
    from video4spatial.vlm.asking import Asker
    from video4spatial.vlm.cache import AnswerCache
    from video4spatial.vlm.local import LocalVLM

    asker = Asker(LocalVLM(str(folder / "model"), max_tokens=8), AnswerCache(folder / "answers.jsonl"))
    videos = np.random.default_rng(0).integers(0, 256, (2, 5, 64, 96, 3), dtype=np.uint8)
    judge = VLMJudge(asker)
    first, again = (list(judge.verdicts(JudgedClip(video, "the red chair", 2) for video in videos)) for _ in range(2))
    report = {
        "outcomes": [verdict.outcome for verdict in first],
        "texts": [verdict.raw for verdict in first],
        "same_again": first == again,
        "asked": asker.asked,
        "remembered": asker.remembered,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
