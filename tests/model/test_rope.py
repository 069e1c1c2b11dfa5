"""Sparse temporal RoPE: stock rows where indices are contiguous, and exact angles anywhere else."""

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

from video4spatial.model.attention import rotate
from video4spatial.model.rope import SparseRotaryPosEmbed, target_index, temporal_angles

HEAD = 32
PATCH = (1, 2, 2)


@pytest.fixture(scope="module")
def ours() -> SparseRotaryPosEmbed:
    return SparseRotaryPosEmbed(HEAD, PATCH, 1024)


def latents(frames: int, batch: int = 1) -> torch.Tensor:
    return torch.zeros(batch, 8, frames, 4, 6)


def test_contiguous_indices_are_the_stock_rows(ours):
    stock = WanRotaryPosEmbed(HEAD, PATCH, 1024)
    expected = stock(latents(30))
    for found in (ours(latents(30)), ours(latents(30), torch.arange(30))):
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)


def test_scattered_indices_are_stock_rows_picked(ours):
    """A table of 1024 stock rows, read at the indices."""
    index = torch.tensor([5, 900, 17, 1023, 0])
    cos, sin = ours(latents(5), index)
    rows = WanRotaryPosEmbed(HEAD, PATCH, 1024)(latents(1024))
    for found, whole in ((cos, rows[0]), (sin, rows[1])):
        tokens = whole.unflatten(1, (1024, -1))[:, index].flatten(1, 2)
        assert torch.equal(found, tokens)


def test_indices_beyond_the_table_follow_the_formula(ours):
    index = torch.tensor([1024, 5000, 123_456])
    cos, sin = ours(latents(3), index)
    dim = ours.t_dim
    frequency = 1 / 10000.0 ** (np.arange(0, dim, 2) / dim)
    angles = np.repeat(index.numpy()[:, None] * frequency, 2, axis=1)
    tokens_a_frame = 2 * 3
    for found, function in ((cos, np.cos), (sin, np.sin)):
        temporal = found[0, ::tokens_a_frame, 0, :dim].double().numpy()
        np.testing.assert_allclose(temporal, function(angles), rtol=0, atol=1e-6)
        assert torch.isfinite(found).all()


def test_each_example_may_have_its_own_indices(ours):
    index = torch.tensor([[0, 3, 60], [7, 8, 2000]])
    both = ours(latents(3, 2), index)
    for row in range(2):
        alone = ours(latents(3), index[row])
        for a, b in zip(both, alone, strict=True):
            assert torch.equal(a[row], b[0])
    assert both[0].shape == (2, 3 * 6, 1, HEAD)


def test_a_shift_of_all_indices_leaves_attention_as_it_is(ours):
    """Only distances in time matter: that is why one gap can hold for every context length."""
    generator = torch.Generator().manual_seed(0)
    tokens = 4 * 6
    query, key = (torch.randn(1, tokens, 2, HEAD, generator=generator) for _ in range(2))
    index = torch.tensor([0, 9, 40, 91])

    def logits(at: torch.Tensor) -> torch.Tensor:
        table = ours(latents(4), at)
        return torch.einsum("bnhd,bmhd->bhnm", rotate(query, *table), rotate(key, *table)) / HEAD**0.5

    base = logits(index)
    assert (logits(index + 777) - base).abs().max() < 1e-4
    assert (logits(index * 2) - base).abs().max() > 0.1


def test_target_indices_start_after_the_gap():
    assert target_index(torch.tensor([3, 40, 12]), 3, 50).tolist() == [91, 92, 93]
    assert target_index(torch.tensor([0]), 2, 0).tolist() == [1, 2]
    assert target_index(torch.zeros(0, dtype=torch.long), 3, 50).tolist() == [0, 1, 2]
    rows = torch.tensor([[3, 40, 12], [0, 1, 2000]])
    assert target_index(rows, 2, 50).tolist() == [[91, 92], [2051, 2052]]
    assert target_index(rows[:, :0], 2, 50).tolist() == [[0, 1], [0, 1]]


def test_angles_are_computed_in_double():
    angles = temporal_angles(torch.tensor([10**6 + 1]), 12)
    assert angles.dtype == torch.float64
    assert angles[0, 0] == 10**6 + 1
