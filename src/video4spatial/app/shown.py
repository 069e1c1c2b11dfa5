"""Pieces of the page as HTML. Every text that somebody gave is escaped; files are named by their address."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from video4spatial.app.asked import Outcome, Seen
from video4spatial.app.context import Context
from video4spatial.app.running import Job, Step
from video4spatial.storage.page import escaped, picture_uri

MARKS = {"found": "good", "done": "good", "not found": "plain", "cancelled": "plain", "refused": "bad", "failed": "bad"}
DOWNLOADS = {
    "video": "Video (mp4)",
    "answer": "Answer (JSON)",
    "waypoints": "Waypoints (CSV)",
    "path": "Camera path, every format (zip)",
}


def address(path: Path) -> str:
    """Where the page fetches a file, relative to the page."""
    return f"gradio_api/file={quote(str(path))}"


def note(text: str, mark: str = "plain") -> str:
    """A line that says what happened; screen readers are told."""
    return f'<p class="v4s-note v4s-{mark}" role="status">{escaped(text)}</p>'


def facts(text: str) -> str:
    """A quiet line."""
    return f'<p class="v4s-facts">{escaped(text)}</p>'


def ahead(jobs: Sequence[Job]) -> str:
    """What a job has to wait for."""
    walks = sum(job.what == "encode" for job in jobs)
    counts = ((len(jobs) - walks, "ask"), (walks, "walk-through"))
    parts = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    return note(f"Waiting for its turn: {' and '.join(parts)} ahead." if parts else "Starting.")


def progress(step: Step, pictures: Sequence[Any] = ()) -> str:
    """How far a job is, with its previews so far."""
    share = step.done / max(1, step.total)
    words = f"{step.doing}: {step.done} of {step.total}"
    shown = "".join(
        f'<img src="{picture_uri(picture)}" alt="Preview {number} of {len(pictures)}">'
        for number, picture in enumerate(pictures, 1)
    )
    strip = f'<div class="v4s-strip">{shown}</div>' if shown else ""
    return (
        f'<div class="v4s-progress"><label>{escaped(words[0].upper() + words[1:])}'
        f'<progress max="1" value="{share:.3f}"></progress></label></div>{strip}'
    )


def context_frames(seen: Seen) -> str:
    """The frames of the walk-through that an ask looks at."""
    pictures = "".join(
        f'<img src="{picture}" alt="Walk-through at frame {frame}" loading="lazy">' for frame, picture in seen.frames
    )
    return f'<div class="v4s-strip v4s-context">{pictures}</div>'


def context_note(context: Context, chosen: Sequence[int]) -> str:
    """What was encoded, and the frames that the model will look at."""
    holds = f" It holds {', '.join(context.targets)}." if context.targets else ""
    words = (
        f"The walk-through is encoded: {len(context.scene)} latents, of which an ask looks at {len(chosen)}. "
        f"Ask as often as you like.{holds}"
    )
    return note(words, "good") + context_frames(context.seen(chosen))


def outcome(made: Outcome) -> str:
    """An ask as a card: what was asked, how it ended, the videos side by side, and everything to take along."""
    heading = f"{made.number}. {'Ground' if made.asked.task == 'ground' else 'Navigate'}: {made.asked.words}"
    said = note(made.message[0].upper() + made.message[1:], MARKS[made.state])
    again = f'<button type="button" data-again="{made.number}">Same with another seed</button>'
    if not made.made:
        return f'<article class="v4s-card"><h3>{escaped(heading)}</h3>{said}<p class="v4s-row">{again}</p></article>'
    videos = _video(made.files.get("shown", made.files["video"]), f"Generated video of ask {made.number}", "Generated")
    if made.seen is not None:
        videos = _video(made.seen.video, "Walk-through video", "Walk-through") + videos
    links = "".join(
        f'<a href="{address(made.files[kind])}" download>{words}</a>'
        for kind, words in DOWNLOADS.items()
        if kind in made.files
    )
    facts = f"seed {made.answer['settings']['seed']}, {made.answer['settings']['steps']} steps, {made.seconds:.1f} s"
    used = "" if made.seen is None else f"<h4>Context frames used</h4>{context_frames(made.seen)}"
    return (
        f'<article class="v4s-card"><h3>{escaped(heading)}</h3>{said}<p class="v4s-facts">{escaped(facts)}</p>'
        f'<div class="v4s-videos">{videos}</div>'
        f'<p class="v4s-row"><button type="button" data-play>Play both</button>{again}{links}</p>'
        f"{_scores(made)}<details><summary>Context frames and answer</summary>{used}<h4>Answer</h4>"
        f'<pre tabindex="0" aria-label="Answer of ask {made.number} as JSON">{escaped(_json(made))}</pre>'
        "</details></article>"
    )


def gallery(asks: Sequence[Outcome]) -> str:
    """The asks of a session but the last, which stands above; the latest first."""
    if len(asks) < 2:
        return facts("None yet.")
    return "".join(outcome(made) for made in reversed(asks[:-1]))


def _video(path: Path, label: str, caption: str) -> str:
    return (
        f'<figure><video src="{address(path)}" aria-label="{escaped(label)}" controls loop muted playsinline '
        f'preload="auto"></video><figcaption>{escaped(caption)}</figcaption></figure>'
    )


def _scores(made: Outcome) -> str:
    """The table of best of N."""
    candidates = made.answer.get("candidates")
    if not candidates:
        return ""
    kept = made.answer["best_of"]["kept_seed"]
    keys = [k for k in candidates[0] if k not in ("seed", "missing") and _plain(candidates[0][k])]
    head = "".join(f'<th scope="col">{escaped(key)}</th>' for key in ["seed", *keys])
    rows = ""
    for candidate in candidates:
        cells = "".join(f"<td>{escaped(_value(candidate.get(key)))}</td>" for key in keys)
        mark = " (kept)" if candidate["seed"] == kept else ""
        rows += f'<tr><th scope="row">{candidate["seed"]}{mark}</th>{cells}</tr>'
    return (
        f'<div class="v4s-table" tabindex="0" role="region" aria-label="Scores of ask {made.number}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _json(made: Outcome) -> str:
    return json.dumps(made.to_json(), indent=2)
