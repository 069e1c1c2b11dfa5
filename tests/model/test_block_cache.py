"""First-block caching: what is reused, when, and for whom."""

import pytest
import torch

from video4spatial.model.block_cache import BlockCache
from video4spatial.model.context import assemble
from video4spatial.schema import InputError

CONTEXT = 2


class Blocks:
    """A first block and the rest, as functions that count their calls."""

    def __init__(self) -> None:
        self.calls = [0, 0]

    def first(self, x):
        self.calls[0] += 1
        return 1.5 * x

    def rest(self, x):
        self.calls[1] += 1
        return x + x.square()


def tokens(*scales: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 6, 4, generator=generator)
    return torch.cat([x * scale for scale in scales])


def test_it_reuses_what_the_other_blocks_added_until_the_change_is_too_large():
    cache, blocks = BlockCache(0.2), Blocks()
    step = cache.of("conditional")
    x = tokens(1.0)
    assert torch.equal(step.through(x, blocks.first, blocks.rest, 0), 1.5 * x + (1.5 * x).square())
    near = step.through(1.1 * x, blocks.first, blocks.rest, 0)
    torch.testing.assert_close(near, 1.5 * 1.1 * x + (1.5 * x).square())
    assert blocks.calls == [2, 1]
    step.through(1.19 * x, blocks.first, blocks.rest, 0)  # measured from what was computed, so small steps add up
    step.through(1.25 * x, blocks.first, blocks.rest, 0)
    assert (blocks.calls, cache.computed, cache.reused) == ([4, 2], 2, 2)


def test_threshold_0_never_reuses():
    cache, blocks = BlockCache(0.0), Blocks()
    for _ in range(3):
        cache.of("conditional").through(tokens(1.0), blocks.first, blocks.rest, 0)
    assert blocks.calls == [3, 3]


def test_static_context_does_not_dilute_the_change():
    """Four of six tokens never change: over all tokens the target's change would look a third as large."""
    for moves, reused in ((0.3, 0), (0.1, 1)):
        cache, blocks = BlockCache(0.2), Blocks()
        x = tokens(1.0)
        cache.of("a").through(x, blocks.first, blocks.rest, 4)
        x = torch.cat([x[:, :4], (1 + moves) * x[:, 4:]], dim=1)
        out = cache.of("a").through(x, blocks.first, blocks.rest, 4)
        assert cache.reused == reused
        assert out.shape == x.shape


def test_a_branch_knows_nothing_of_another():
    cache, blocks = BlockCache(0.5), Blocks()
    a, b = tokens(1.0), tokens(3.0)
    cache.of("a").through(a, blocks.first, blocks.rest, 0)
    cache.of("b").through(b, blocks.first, blocks.rest, 0)
    assert blocks.calls == [2, 2]  # b has nothing to reuse yet
    for name, x in (("a", a), ("b", b)):
        torch.testing.assert_close(
            cache.of(name).through(x, blocks.first, blocks.rest, 0), 1.5 * x + (1.5 * x).square()
        )
    assert blocks.calls == [4, 2]


def test_a_batch_of_branches_decides_together():
    cache, blocks = BlockCache(0.2), Blocks()
    pair = cache.of("a", "b")
    pair.through(tokens(1.0, 1.0), blocks.first, blocks.rest, 0)
    pair.through(tokens(1.0, 1.1), blocks.first, blocks.rest, 0)
    assert blocks.calls[1] == 1
    pair.through(tokens(1.0, 1.3), blocks.first, blocks.rest, 0)  # one branch moved: both are computed
    assert blocks.calls[1] == 2
    cache.of("a").through(tokens(1.1), blocks.first, blocks.rest, 0)  # and one alone goes on from there
    assert blocks.calls[1] == 2
    cache.of("b", "c").through(tokens(1.3, 1.0), blocks.first, blocks.rest, 0)
    assert blocks.calls[1] == 3


@torch.no_grad()
def test_in_the_transformer(tiny_transformer):
    generator = torch.Generator().manual_seed(0)
    context, target = (torch.randn(1, 48, n, 2, 4, generator=generator) for n in (CONTEXT, 3))
    text = torch.randn(1, 6, 64, generator=generator)
    calls = []
    hook = tiny_transformer.blocks[1].register_forward_hook(lambda *_: calls.append(1))

    def ask(timestep: float, cache: BlockCache | None) -> torch.Tensor:
        s = assemble(context, torch.tensor([[0, 5]]), target, torch.tensor([timestep]))
        bound = None if cache is None else cache.of("conditional")
        out = tiny_transformer(
            s.latents,
            s.timestep,
            text,
            frame_index=s.frame_index,
            context_frames=CONTEXT,
            block_cache=bound,
            return_dict=False,
        )[0]
        return s.target(out)

    try:
        exact = [ask(t, None) for t in (900.0, 850.0)]
        calls.clear()
        never, always = BlockCache(0.0), BlockCache(1e9)
        for t, expected in zip((900.0, 850.0), exact, strict=True):
            torch.testing.assert_close(ask(t, never), expected, rtol=0, atol=1e-6)
        assert len(calls) == 2
        assert torch.equal(ask(900.0, always), ask(900.0, BlockCache(0.0)))
        later = ask(850.0, always)
        assert len(calls) == 4
        assert (later - exact[1]).abs().max() > 1e-5
        assert (later - exact[1]).abs().mean() < (exact[0] - exact[1]).abs().mean() * 2
    finally:
        hook.remove()


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf")])
def test_thresholds_that_are_none(threshold):
    with pytest.raises(InputError, match="block-cache is"):
        BlockCache(threshold)
