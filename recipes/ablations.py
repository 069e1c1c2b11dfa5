"""The paper's ablations that need a training of their own: Table 1, Table 3, Figure 8 (b).

Each is a full run with one thing changed: the paper's grounding run, and its twin on rooms, which takes 75 minutes of
a CPU core as the shipped model did (``rooms_...``). The paper says that all else is identical.

    torchrun --nproc-per-node 8 -m video4spatial.cli train ablations:no_box_tail --out runs/no-box-tail
    video4spatial train ablations:rooms_no_box_tail --out runs/no-box-tail
    video4spatial experiment table1 --trained no-box-tail=runs/no-box-tail/pipeline
"""

from dataclasses import replace

from video4spatial.train.config import TransformerRun
from video4spatial.train.recipes import load_recipe


def _full(name: str) -> TransformerRun:
    run = load_recipe(name)
    assert isinstance(run, TransformerRun)
    return run


def _paper() -> TransformerRun:
    return _full("grounding:paper")


def _rooms() -> TransformerRun:
    return _full("rooms:transformer_cpu")


def _without_tail(run: TransformerRun, tail: int) -> TransformerRun:
    return replace(run, window=replace(run.window, tail=False, target=run.window.target - tail))


def _contiguous(run: TransformerRun) -> TransformerRun:
    return replace(run, window=replace(run.window, mode="contiguous"))


def _context(run: TransformerRun, share: float) -> TransformerRun:
    """Every context length that is drawn from, times ``share`` (whole latents, rounded down)."""
    return replace(run, window=replace(run.window, context=tuple(int(share * length) for length in run.window.context)))


def no_pretraining() -> TransformerRun:
    """Table 1, "w/o pretraining": Wan2.2's transformer with weights drawn anew; all of them train."""
    return replace(_paper(), pretrained=False, train="all")


def no_box_tail() -> TransformerRun:
    """Table 1, "w/o auxiliary bbox": targets of 161 frames that end at the object."""
    return _without_tail(_paper(), tail=5)


def vanilla_rope() -> TransformerRun:
    """Table 1, "w/ vanilla RoPE": contiguous indices over context and target, in training as in sampling."""
    return replace(_paper(), vanilla_rope=True)


def contiguous_context() -> TransformerRun:
    """Table 3, "Continuous": context is one run of latents."""
    return _contiguous(_paper())


def train_context_none() -> TransformerRun:
    """Figure 8 (b): trained with the first frame only (1 frame)."""
    return _context(_paper(), 0)


def train_context_quarter() -> TransformerRun:
    """Figure 8 (b): trained with 10 latents of context (41 frames)."""
    return _context(_paper(), 1 / 4)


def train_context_half() -> TransformerRun:
    """Figure 8 (b): trained with 21 latents of context (85 frames)."""
    return _context(_paper(), 1 / 2)


def train_context_double() -> TransformerRun:
    """Figure 8 (b): trained with 84 latents of context (337 frames)."""
    return _context(_paper(), 2)


def rooms_pretraining() -> TransformerRun:
    """What pretraining is to the paper: a model of image and sentence to video, without context, camera path or box.

    The shipped rooms-small has none. On rooms "w/o pretraining" is therefore ``rooms_no_pretraining`` beside
    ``rooms_pretrained`` (``--model``), not beside rooms-small.
    """
    run = _without_tail(_rooms(), tail=2)
    return replace(run, window=replace(run.window, context=(0,), navigation=0.0))


def rooms_pretrained() -> TransformerRun:
    """The full model, from ``rooms_pretraining`` on."""
    return replace(_rooms(), start="runs/rooms_pretraining/pipeline")


def rooms_no_pretraining() -> TransformerRun:
    """The same run, from weights drawn anew; the sizes are rooms-small's, which are ``rooms_pretraining``'s too."""
    return replace(_rooms(), start="rooms-small", pretrained=False)


def rooms_no_box_tail() -> TransformerRun:
    """Targets of 25 frames that end at the object."""
    return _without_tail(_rooms(), tail=2)


def rooms_vanilla_rope() -> TransformerRun:
    """Contiguous indices over context and target."""
    return replace(_rooms(), vanilla_rope=True)


def rooms_contiguous_context() -> TransformerRun:
    """Context is one run of latents."""
    return _contiguous(_rooms())


def rooms_train_context_none() -> TransformerRun:
    """Trained with the first frame only."""
    return _context(_rooms(), 0)


def rooms_train_context_quarter() -> TransformerRun:
    """Trained with up to 3 latents of context."""
    return _context(_rooms(), 1 / 4)


def rooms_train_context_half() -> TransformerRun:
    """Trained with up to 6 latents of context."""
    return _context(_rooms(), 1 / 2)


def rooms_train_context_double() -> TransformerRun:
    """Trained with up to 24 latents of context."""
    return _context(_rooms(), 2)
