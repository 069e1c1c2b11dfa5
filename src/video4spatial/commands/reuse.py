"""Videos that are there already: another folder's of the same method and settings, or those an external system made."""

import filecmp
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from video4spatial.commands.generate import Run, method_info, same_settings
from video4spatial.commands.methods import method_of
from video4spatial.evaluate.generated import SUFFIXES, GeneratedFolder
from video4spatial.evaluate.manifest import Benchmark
from video4spatial.evaluate.method_info import MethodInfo
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import atomic_path


def reuse(run: Run, other: GeneratedFolder) -> int:
    """Bring what ``run`` would make and ``other`` holds, scores included; how many videos that were.

    A video is taken where benchmark, case and the method's settings are the same; all else is left for the run.
    Raises ``InputError`` if ``other`` is no folder of generated videos.
    """
    kept = Benchmark.load(other.root)
    if replace(kept, cases=()) != replace(run.benchmark, cases=()):
        return 0
    known, brought = {case.case_id: case for case in kept.cases}, 0
    cases = [case for case in run.benchmark.shard(*run.shard) if known.get(case.case_id) == case]
    for name in run.names:
        folder = run.renamed or name
        there = other.method(folder)
        if not (there / "method.json").exists():
            continue
        if not same_settings(MethodInfo.load(there).settings, method_info(run, folder, method_of(name))["settings"]):
            continue
        bring(there / "method.json", run.folder.method(folder) / "method.json")
        for case in cases:
            for repeat in range(run.repeats):
                said = other.said(folder, case.case_id, repeat)
                if not said.exists() or run.folder.said(folder, case.case_id, repeat).exists():
                    continue
                video = other.video(folder, case.case_id, repeat)
                if video.exists():
                    bring(video, run.folder.video(folder, case.case_id, repeat))
                bring(said, run.folder.said(folder, case.case_id, repeat))  # last: it says that the video is whole
                brought += 1
        for scores in sorted(other.scores.glob(f"*/{folder}.jsonl")):
            mine = run.folder.scores / scores.parent.name / scores.name
            if not mine.exists():
                bring(scores, mine, link=False)
    return brought


def bring_external(source: Path, folder: GeneratedFolder, method: str, benchmark: Benchmark) -> int:
    """Copy an external system's videos of the benchmark's cases, and what it says of them; how many videos.

    A file that has changed at the source is copied again.

    Raises:
        InputError: there is no such folder, or it holds no video of these cases.
    """
    if not source.is_dir():
        raise InputError(f"--external {method}={source}: there is no such folder")
    known = {case.case_id for case in benchmark.cases}
    videos = 0
    for entry in sorted(source.iterdir()):
        stem = entry.name if entry.is_dir() else entry.stem
        match = re.fullmatch(r"(.+?)(-repeat\d+)?", stem)
        of_case = match is not None and match.group(1) in known
        if not of_case and entry.name != "method.json":
            continue
        videos += entry.is_dir() or entry.suffix in SUFFIXES
        bring(entry, folder.method(method) / entry.name, link=False)
    if not videos:
        raise InputError(
            f"--external {method}={source}: it holds no video of the {len(known)} cases of benchmark {benchmark.name}; "
            "name them CASE_ID.mp4, see docs/evaluation-benchmarks.md"
        )
    return videos


def bring(source: Path, target: Path, link: bool = True) -> None:
    """``target`` as ``source`` is: a hard link where the disk allows it and ``link``, else a copy; of a folder, each
    file. Left alone where it is the same already."""
    if source.is_dir():
        for file in sorted(path for path in source.iterdir() if path.is_file()):
            bring(file, target / file.name, link)
        return
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    with atomic_path(target) as temporary:
        if link:
            try:
                os.link(source, temporary)
                return
            except OSError:  # another disk, or one without links
                pass
        shutil.copy2(source, temporary)
