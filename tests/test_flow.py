"""The path, its velocity, and the noise levels that training sees."""

import pytest
import torch

from video4spatial.flow import add_noise, draw_sigma, shift_sigma, velocity


@pytest.fixture
def ends():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, 5, generator=generator).double(), torch.randn(3, 4, 5, generator=generator).double()


def test_the_path_starts_at_data_and_ends_at_noise(ends):
    x_0, noise = ends
    assert torch.equal(add_noise(x_0, noise, torch.zeros(3)), x_0)
    assert torch.equal(add_noise(x_0, noise, torch.ones(3)), noise)


def test_each_example_has_its_own_level(ends):
    x_0, noise = ends
    mixed = add_noise(x_0, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(mixed[0], x_0[0])
    torch.testing.assert_close(mixed[1], 0.75 * x_0[1] + 0.25 * noise[1])
    assert torch.equal(mixed[2], noise[2])


def test_velocity_is_the_paths_derivative(ends):
    x_0, noise = ends
    _, slope = torch.func.jvp(
        lambda s: add_noise(x_0, noise, s), (torch.full((3,), 0.3).double(),), (torch.ones(3).double(),)
    )
    torch.testing.assert_close(velocity(x_0, noise), slope)


def test_the_shift_keeps_the_ends_and_the_order():
    sigma = torch.linspace(0, 1, 1001).double()
    for shift in (0.5, 1.0, 3.0, 5.0):
        shifted = shift_sigma(sigma, shift)
        assert shifted[0] == 0
        assert shifted[-1] == 1
        assert (shifted.diff() > 0).all()
    assert torch.equal(shift_sigma(sigma, 1.0), sigma)
    assert (shift_sigma(sigma, 5.0)[1:-1] > sigma[1:-1]).all()
    torch.testing.assert_close(shift_sigma(torch.tensor(0.5), 5.0), torch.tensor(5 / 6))


def test_levels_are_spread_evenly_over_a_batch():
    count = 64
    for seed in range(20):
        sigma = draw_sigma(count, 5.0, torch.Generator().manual_seed(seed)).double()
        assert sigma.min() > 0
        assert sigma.max() <= 1
        uniform = sigma / (5.0 - 4.0 * sigma)  # the shift undone
        strata = (uniform.clamp(max=1 - 1e-9) * count + 1e-4).floor().long()
        assert sorted(strata.tolist()) == list(range(count))


def test_levels_come_in_no_order():
    sigma = draw_sigma(64, 1.0, torch.Generator().manual_seed(0))
    assert not (sigma.diff() > 0).all()


def test_levels_are_repeatable():
    first, again = (draw_sigma(8, 5.0, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, draw_sigma(8, 5.0, torch.Generator().manual_seed(4)))


def test_one_level_covers_the_whole_range():
    levels = torch.cat([draw_sigma(1, 1.0, torch.Generator().manual_seed(seed)) for seed in range(400)])
    assert levels.min() < 0.05
    assert levels.max() > 0.95
    assert abs(levels.mean() - 0.5) < 0.06
