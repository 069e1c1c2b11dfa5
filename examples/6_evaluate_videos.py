"""6. Evaluate a folder of videos, whoever made them: videos named after the cases they answer.

    python examples/6_evaluate_videos.py                          # a system that holds the first frame
    python examples/6_evaluate_videos.py --videos mine --benchmark rooms        # yours: mine/my-system/<case_id>.mp4

It writes videos and results into runs/examples/6, or --out.
"""

import argparse
from pathlib import Path

import numpy as np

from video4spatial import Clip
from video4spatial.commands.evaluate import evaluate_folder
from video4spatial.evaluate.benchmarks import open_benchmark, open_contents
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.metrics import make_metrics
from video4spatial.storage.video import write_video

parser = argparse.ArgumentParser()
parser.add_argument("--videos", type=Path, help="a folder that holds a folder of videos for each system")
parser.add_argument("--benchmark", default="rooms", help="its name or folder; default %(default)s")
parser.add_argument("--cases", type=int, default=2, help="the first so many of each task; default %(default)s")
parser.add_argument("--metrics", help="fidelity,spatial,following,...; all unless given")
parser.add_argument("--out", type=Path, default=Path("runs/examples/6"))
options = parser.parse_args()
folder = GeneratedFolder(options.videos or options.out)
benchmark = open_benchmark(options.benchmark, cases=options.cases)
for content in () if options.videos else open_contents(benchmark).of(benchmark.cases):
    case = content.case  # a task, and what is asked: content.context, content.first_frame, case.sentence, content.path
    held = np.repeat(content.first_frame[None], case.frames, axis=0)  # put your system's answer here
    write_video(folder.video("my-system", case.case_id), Clip(held, benchmark.fps))
    if content.truth is not None:
        write_video(folder.video("ground-truth", case.case_id), content.truth)

metrics = make_metrics(options.metrics.split(",") if options.metrics else None)
results = evaluate_folder(folder, metrics, benchmark=options.benchmark, cases=options.cases)  # prints the tables
print(f"{len(results['rows'])} rows in {folder.results}; for a page to look at: video4spatial report {folder.root}")
