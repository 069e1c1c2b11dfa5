"""First-block caching: where the first block says much the same as before, what the others added then is used again.

After "First Block Cache" (ParaAttention; diffusers has one as well): the relative change of what block 0 adds decides.
Two things differ here, because the sequence is ``[context | target]``. The change is measured on the target's tokens
alone: clean context hardly changes from step to step, and would hide how much the target does. And what is reused is
kept for the target's tokens alone, since nothing is asked of the context's.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from video4spatial.schema import InputError

Blocks = Callable[[Tensor], Tensor]


class BlockCache:
    """What block 0 and the blocks after it added when last computed, for each guidance branch of one clip.

    Args:
        threshold: reuse while block 0's relative change is below this; 0 never reuses.
    """

    def __init__(self, threshold: float) -> None:
        if not (math.isfinite(threshold) and threshold >= 0):
            raise InputError(f"block-cache is {threshold}: give a threshold of 0 (never reuse) or more, such as 0.1")
        self.threshold = threshold
        self.computed = self.reused = 0
        self._kept: dict[str, tuple[Tensor, Tensor]] = {}

    def of(self, *branches: str) -> "BranchBlockCache":
        """The cache as a forward pass takes it, whose batch rows are these branches; they decide together."""
        return BranchBlockCache(self, branches)

    def relative_change(self, update: Float[Tensor, "B N D"], branches: tuple[str, ...]) -> float:
        """Of what block 0 adds, since it was last computed: the largest of any branch; infinite at first."""
        if not all(branch in self._kept for branch in branches):
            return math.inf
        before = torch.stack([self._kept[branch][0] for branch in branches])
        change = (update - before).abs().float().mean(dim=(1, 2)) / before.abs().float().mean(dim=(1, 2))
        return change.max().item()


class BranchBlockCache:
    """A ``BlockCache`` seen by one batch of branches."""

    def __init__(self, cache: BlockCache, branches: tuple[str, ...]) -> None:
        self.cache, self.branches = cache, branches

    def through(
        self, x: Float[Tensor, "B N D"], first: Blocks, rest: Blocks, context_tokens: int
    ) -> Float[Tensor, "B N D"]:
        """``rest(first(x))``, or the same with what ``rest`` last added to the target's tokens.

        In the second case the context's tokens are what block 0 made of them: of no further use.
        """
        cache, n = self.cache, context_tokens
        after = first(x)
        update = after[:, n:] - x[:, n:]
        if cache.relative_change(update, self.branches) < cache.threshold:
            cache.reused += 1
            added = torch.stack([cache._kept[branch][1] for branch in self.branches])
            return torch.cat([after[:, :n], after[:, n:] + added], dim=1)
        cache.computed += 1
        out = rest(after)
        added = out[:, n:] - after[:, n:]
        cache._kept.update(zip(self.branches, zip(update, added, strict=True), strict=True))
        return out
