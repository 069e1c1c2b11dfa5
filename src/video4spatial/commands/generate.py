"""``video4spatial generate``: a benchmark's videos by a method, into the layout that ``evaluate`` reads."""

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from video4spatial.commands.loaded import Models
from video4spatial.commands.methods import Method, method_of
from video4spatial.commands.progress import counting_bar
from video4spatial.evaluate.benchmarks import open_contents
from video4spatial.evaluate.cases import Case, CaseContent
from video4spatial.evaluate.generated import GeneratedFolder
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.method_info import MethodInfo
from video4spatial.schema import Clip, InputError
from video4spatial.storage.artifacts import read_json, write_json
from video4spatial.storage.video import write_video

SEEDS_APART = 100_000  # between runs and repeats: more than a benchmark has cases


@dataclass(frozen=True)
class Run:
    """One call of ``generate``.

    Args:
        names: methods; ``renamed`` is the folder of a single one that is not to have its own name.
        seed: of the run; a case's sampling seed is its own plus 100,000 times (seed + repeat), whatever the method.
        shard: ``(number, of)``: this process's share of the cases.
    """

    benchmark: Benchmark
    names: Sequence[str]
    folder: GeneratedFolder
    models: Models
    seed: int = 0
    repeats: int = 1
    shard: tuple[int, int] = (0, 1)
    renamed: str | None = None
    progress: bool = True


def generate(run: Run) -> int:
    """Make what is missing; the number of videos made. Stopped and started again it goes on where it was.

    Raises ``InputError`` for unknown methods, settings other than those the folder's videos were made with, or another
    benchmark's folder.
    """
    methods = {run.renamed or name: method_of(name) for name in run.names}
    if run.renamed is not None and len(run.names) != 1:
        raise InputError(f"--as {run.renamed} names one method: give one --method")
    if run.repeats < 1 or run.seed < 0:
        raise InputError(f"repeats is {run.repeats}, seed is {run.seed}: give at least 1, and a seed from 0 up")
    cases = run.benchmark.shard(*run.shard)
    if any(method.needs == "model" for method in methods.values()):
        run.models.require_size(run.benchmark.width, run.benchmark.height)
    claim(run.folder, run.benchmark)
    for folder, method in methods.items():
        _claim_method(run, folder, method)
    missing = {
        case.case_id: [
            (folder, repeat)
            for folder in methods
            for repeat in range(run.repeats)
            if not _made(run.folder, folder, case.case_id, repeat)
        ]
        for case in cases
    }
    left, made = [case for case in cases if missing[case.case_id]], 0
    with counting_bar(disable=not run.progress) as bar:
        work = bar.add_task("videos", total=sum(map(len, missing.values())))
        for content in open_contents(run.benchmark).of(left):
            for folder, repeat in missing[content.case.case_id]:
                bar.update(work, description=f"{folder}, {content.case.case_id}")
                _make(run, folder, methods[folder], content, repeat)
                bar.advance(work)
                made += 1
    return made


def _made(folder: GeneratedFolder, method: str, case_id: str, repeat: int) -> bool:
    """Whether this video is there and whole; or known not to be applicable, which its JSON alone says."""
    said = folder.said(method, case_id, repeat)
    if not said.exists():
        return False
    if folder.video(method, case_id, repeat).exists():
        return True
    told = read_json(said)
    return isinstance(told, dict) and "not_applicable" in told


def _make(run: Run, folder: str, method: Method, content: CaseContent, repeat: int) -> None:
    """One video and its JSON, the JSON last: it says that the video is whole."""
    case = content.case
    seed = case.seed + SEEDS_APART * (run.seed + repeat)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    _ = content.first_frame, content.truth, content.context  # rendering is not the method's time
    began = time.perf_counter()
    made = method.make(run.models, content, seed)
    said: dict[str, Any] = {"method": folder, "case_id": case.case_id, "repeat": repeat, "seed": seed}
    path = run.folder.said(folder, case.case_id, repeat)
    if isinstance(made, str):
        write_json(path, said | {"not_applicable": made})
        return
    said |= {"seconds": round(time.perf_counter() - began, 3), "peak_memory_bytes": peak_memory()}
    write_video(run.folder.video(folder, case.case_id, repeat), Clip(made.frames, made.fps), lossless=True)
    write_json(path, said | made.answer)


def peak_memory() -> int:
    """Bytes: of the GPU since this video began; without one, of the process since it began."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def claim(folder: GeneratedFolder, benchmark: Benchmark) -> None:
    """Write the manifest that the folder's videos answer, or join these cases to the one there.

    Raises ``InputError`` if it is another benchmark's.
    """
    if folder.benchmark.exists():
        kept = Benchmark.load(folder.root)
        if replace(kept, cases=()) != replace(benchmark, cases=()):
            raise InputError(f"{folder.root} holds videos of another benchmark ({kept.name}): choose another --out")
        by_id: dict[str, Case] = {case.case_id: case for case in kept.cases}
        changed = [case.case_id for case in benchmark.cases if by_id.setdefault(case.case_id, case) != case]
        if changed:
            raise InputError(f"{folder.root} holds videos of another case {changed[0]}: choose another --out")
        joined = tuple(sorted(by_id.values(), key=lambda case: case.seed))
        if joined == kept.cases:
            return
        benchmark = replace(benchmark, cases=joined)
    benchmark.save(folder.root)


def method_info(run: Run, folder: str, method: Method) -> dict[str, Any]:
    """What ``method.json`` says of a method's videos made by this run."""
    settings = run.models.settings.to_json() if method.needs != "nothing" else {}
    info: dict[str, Any] = dict(method.info)
    if method.needs == "model":
        settings = {"model": run.models.settings.model, "weights": run.models.weights, **settings}
        if method.name != "vae-reconstruction":
            info["tail_frames"] = run.models.tail_frames
    if method.needs == "rival":
        s = run.models.settings
        size = None if s.rival_size is None else list(s.rival_size)
        settings |= {
            "rival": s.rival,
            "weights": run.models.rival_weights,
            "rival_size": size,
            "rival_frames": s.rival_frames,
        }
    settings |= {"method": method.name, "seed": run.seed}
    return {"title": folder, "notes": method.does, **info, "settings": settings}


def same_settings(kept: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether videos were made as they would be now. Folders from before weights were told apart do not tell theirs."""
    return {"weights": wanted.get("weights")} | dict(kept) == {"weights": None} | dict(wanted)


def _claim_method(run: Run, folder: str, method: Method) -> None:
    """Write ``method.json``, or check that the videos there were made with the same settings."""
    wanted = method_info(run, folder, method)
    path = run.folder.method(folder) / "method.json"
    if not path.exists():
        write_json(path, wanted)
        return
    kept = MethodInfo.load(path.parent)
    if not same_settings(kept.settings, wanted["settings"]):
        raise InputError(
            f"{path.parent} holds videos made with other settings ({kept.settings}): choose another --out, or --as NAME"
        )
