"""``video4spatial split``: hold out environments of stores for evaluation, and say what each side has."""

from collections.abc import Iterable

from video4spatial.data.latent_videos import index_rows
from video4spatial.data.splits import held_out, read_split, write_split
from video4spatial.schema import InputError
from video4spatial.storage.latents import StoredVideo


def split_stores(roots: list[str], count: int, seed: int, out: str | None, given: str | None) -> list[str]:
    """Hold out ``count`` environments of the stores, chosen by ``seed``, or those that the file ``given`` lists; write
    them to ``out``; the lines to print.

    Raises:
        InputError: a store that cannot be opened, too few environments, a file that lists others.
    """
    rows = [row for root in roots for row in index_rows(root)]
    environments = sorted({row.environment_id for row in rows})
    chosen = held_out(environments, count, seed) if given is None else read_split(given, known=environments)
    if len(chosen) == len(environments):
        raise InputError(f"{given} holds out all {len(environments)} environments: leave some to train on")
    if out is not None:
        how = f"{len(chosen)} of {len(environments)} environments held out, seed {seed}"
        write_split(out, chosen, f"video4spatial split: {how}\nof {', '.join(roots)}")
    apart = set(chosen)
    return [
        _line("held out", (row for row in rows if row.environment_id in apart)),
        _line("to train", (row for row in rows if row.environment_id not in apart)),
    ]


def _line(side: str, rows: Iterable[StoredVideo]) -> str:
    rows = list(rows)
    videos = [row for row in rows if "of" not in row.meta]
    hours = sum(row.frames / row.fps for row in videos) / 3600
    environments = len({row.environment_id for row in videos})
    clips = len(rows) - len(videos)
    return f"{side}: {environments:,} environments, {len(videos):,} videos ({hours:.2f} hours), {clips:,} clips"
