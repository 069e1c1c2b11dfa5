"""Muon, the learning rate, the moving average."""

import pytest
import torch
from torch import nn

from video4spatial.train.config import OptimConfig
from video4spatial.train.optim import MovingAverage, Muon, learning_rate, make_optimisers, orthogonalise


@pytest.mark.parametrize("shape", [(20, 20), (12, 40), (40, 12), (5, 200)])
def test_orthogonalise_brings_singular_values_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalise(matrix)
    assert found.shape == shape
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(found)
    big = values[: (s > 0.1 * s[0]).sum()]
    assert big.max() < 1.3
    assert big.min() > 0.5
    nearest = u @ v
    assert nn.functional.cosine_similarity(found.flatten(), nearest.flatten(), dim=0) > 0.95


def test_orthogonalise_does_not_care_for_scale():
    matrix = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalise(matrix), orthogonalise(matrix * 1e3), rtol=1e-3, atol=1e-3)
    assert torch.isfinite(orthogonalise(torch.zeros(3, 4))).all()


def test_muon_goes_downhill_and_its_step_has_the_rms_it_promises():
    torch.manual_seed(0)
    wanted = torch.randn(16, 24)
    weight = nn.Parameter(torch.zeros(16, 24))
    optimiser = Muon([weight], lr=0.05)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (weight - wanted).square().mean()
        loss.backward()
        before = weight.detach().clone()
        optimiser.step()
        losses.append(loss.item())
        if len(losses) == 1:
            rms = (weight - before).square().mean().sqrt() / 0.05
            assert 0.1 < rms < 0.4  # AdamW's is about 0.2 to 0.4
    assert losses[1] < losses[0]
    assert losses[-1] < 0.3 * losses[0]


def test_muon_treats_kernels_as_matrices_and_skips_what_has_no_gradient():
    kernel, idle = nn.Parameter(torch.randn(6, 3, 2, 2)), nn.Parameter(torch.ones(2, 2))
    optimiser = Muon([kernel, idle], lr=0.1, weight_decay=0.5)
    kernel.square().sum().backward()
    before = kernel.detach().clone()
    optimiser.step()
    update = ((before * (1 - 0.05) - kernel.detach()) / 0.1).flatten(1)
    torch.testing.assert_close(update, orthogonalise(before.flatten(1)) * 0.2 * 12**0.5, rtol=2e-2, atol=2e-2)
    assert torch.equal(idle, torch.ones(2, 2))


def test_every_trained_parameter_has_exactly_one_optimiser():
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 1))
    model[0].bias.requires_grad_(False)
    for name, count in (("muon", 2), ("adamw", 1)):
        optimisers = make_optimisers(model, OptimConfig(name=name))
        held = [id(p) for o in optimisers for group in o.param_groups for p in group["params"]]
        assert len(optimisers) == count
        assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    muon = make_optimisers(model, OptimConfig(name="muon"))[0]
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(6, 4)]  # one row or column is no matrix


def test_the_learning_rate_rises_stays_and_falls():
    config = OptimConfig(lr=2.0, warmup=10, decay=0.25, final=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.2)
    assert learning_rate(config, 4, 0.1) == pytest.approx(1.0)
    for step, progress in ((9, 0.1), (50, 0.5), (74, 0.75)):
        assert learning_rate(config, step, progress) == pytest.approx(2.0)
    assert learning_rate(config, 90, 0.875) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert learning_rate(config, 100, 1.0) == pytest.approx(0.2)
    assert learning_rate(config, 200, 1.5) == pytest.approx(0.2)
    assert learning_rate(OptimConfig(lr=1.0, warmup=0, decay=0.0), 0, 0.5) == pytest.approx(1.0)
    falling = [learning_rate(config, 99, p / 100) for p in range(75, 101)]
    assert falling == sorted(falling, reverse=True)


def test_the_average_follows_the_weights_and_starts_warm():
    model = nn.Linear(2, 2, bias=False)
    average = MovingAverage(model, 0.99)
    with torch.no_grad():
        start = model.weight.clone()
        model.weight.add_(1.0)
    average.update(model, 0)  # decay 1/10 at first
    torch.testing.assert_close(average.weights["weight"], start + 0.9)
    for step in range(1, 3000):
        average.update(model, step)
    torch.testing.assert_close(average.weights["weight"], start + 1)
    with torch.no_grad():
        model.weight.add_(1.0)
    average.update(model, 5000)
    torch.testing.assert_close(average.weights["weight"], start + 1.01)


def test_swapping_twice_changes_nothing():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight.requires_grad_(False)
    average = MovingAverage(model, 0.9)
    assert set(average.weights) == {"0.weight", "0.bias", "1.bias"}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    held = {name: p.clone() for name, p in average.weights.items()}
    average.swap(model)
    for name, p in model.named_parameters():
        assert torch.equal(p, held.get(name, weights[name]))
    average.swap(model)
    for name, p in model.named_parameters():
        assert torch.equal(p, weights[name])
    for name, p in average.weights.items():
        assert torch.equal(p, held[name])
