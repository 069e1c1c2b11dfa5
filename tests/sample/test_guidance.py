"""Joint guidance against the same velocities combined by hand."""

import dataclasses

import pytest
import torch

from video4spatial.model.context import assemble
from video4spatial.sample.guidance import Conditions, Guidance, guided_velocity
from video4spatial.schema import InputError

TIME = torch.tensor(640.0)


@pytest.fixture
def conditions() -> Conditions:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Conditions(
        context=normal(1, 48, 3, 2, 4),
        context_index=torch.tensor([[2, 7, 31]]),
        context_noise=normal(1, 48, 3, 2, 4),
        text=normal(1, 6, 64),
        null_text=normal(1, 6, 64),
        camera=normal(1, 24, 4, 2, 4),
        gap=50,
    )


@pytest.fixture
def target() -> torch.Tensor:
    return torch.randn(1, 48, 4, 2, 4, generator=torch.Generator().manual_seed(1))


def alone(model, c: Conditions, target, *, context, context_time, text, camera) -> torch.Tensor:
    """One branch by itself."""
    sequence = assemble(context, c.context_index, target, TIME.reshape(1), camera, context_time, gap=c.gap)
    out = model(
        sequence.latents,
        sequence.timestep,
        text,
        frame_index=sequence.frame_index,
        camera=sequence.camera,
        return_dict=False,
    )[0]
    return out[:, :, 3:]


@torch.no_grad()
def test_joint_guidance_drops_instruction_and_context_together(tiny_transformer, conditions, target):
    c = conditions
    cond = alone(tiny_transformer, c, target, context=c.context, context_time=0.0, text=c.text, camera=c.camera)
    blank = torch.zeros_like(c.camera)
    null = alone(
        tiny_transformer, c, target, context=c.context_noise, context_time=1000.0, text=c.null_text, camera=blank
    )
    for scale in (0.0, 3.0, 5.5):
        found = guided_velocity(tiny_transformer, target, TIME, c, Guidance(scale))
        torch.testing.assert_close(found, null + scale * (cond - null), rtol=0, atol=2e-5 * (1 + scale))
    assert (cond - null).abs().max() > 0.1
    told_clean = alone(
        tiny_transformer, c, target, context=c.context_noise, context_time=0.0, text=c.null_text, camera=blank
    )
    assert (told_clean - null).abs().max() > 1e-3  # that the noise is told to be noise matters


@torch.no_grad()
def test_text_guidance_keeps_the_context(tiny_transformer, conditions, target):
    c = conditions
    cond = alone(tiny_transformer, c, target, context=c.context, context_time=0.0, text=c.text, camera=c.camera)
    null = alone(
        tiny_transformer,
        c,
        target,
        context=c.context,
        context_time=0.0,
        text=c.null_text,
        camera=torch.zeros_like(c.camera),
    )
    found = guided_velocity(tiny_transformer, target, TIME, c, Guidance(3.0, "text"))
    torch.testing.assert_close(found, null + 3 * (cond - null), rtol=0, atol=1e-4)


class Counted:
    """The transformer, and how many sequences it was given."""

    def __init__(self, model) -> None:
        self.model, self.sequences = model, 0

    def __call__(self, latents, *args, **kwargs):
        self.sequences += len(latents)
        return self.model(latents, *args, **kwargs)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["joint", "text", "none"])
def test_scale_one_is_no_guidance_and_costs_one_evaluation(tiny_transformer, conditions, target, mode):
    counted = Counted(tiny_transformer)
    found = guided_velocity(counted, target, TIME, conditions, Guidance(1.0, mode))
    assert counted.sequences == 1
    expected = guided_velocity(tiny_transformer, target, TIME, conditions, Guidance(7.0, "none"))
    assert torch.equal(found, expected)
    guided_velocity(counted, target, TIME, conditions, Guidance(2.0, mode))
    assert counted.sequences == (2 if mode == "none" else 3)


@torch.no_grad()
def test_without_context_joint_guidance_is_text_guidance(tiny_transformer, conditions, target):
    none = dataclasses.replace(
        conditions,
        context=conditions.context[:, :, :0],
        context_noise=conditions.context_noise[:, :, :0],
        context_index=conditions.context_index[:, :0],
    )
    joint, text = (guided_velocity(tiny_transformer, target, TIME, none, Guidance(4.0, m)) for m in ("joint", "text"))
    assert torch.equal(joint, text)
    assert (joint - guided_velocity(tiny_transformer, target, TIME, conditions, Guidance(4.0))).abs().max() > 1e-2


@torch.no_grad()
def test_vanilla_indices_and_the_gap_reach_the_transformer(tiny_transformer, conditions, target):
    base = guided_velocity(tiny_transformer, target, TIME, conditions, Guidance(1.0))
    for changed in ({"vanilla_rope": True}, {"gap": 0}):
        found = guided_velocity(
            tiny_transformer, target, TIME, dataclasses.replace(conditions, **changed), Guidance(1.0)
        )
        assert (found - base).abs().max() > 1e-3


def test_settings_out_of_range_are_refused():
    with pytest.raises(
        (InputError, TypeError), match=r"'all'(.|\n)*joint.*text.*none"
    ):  # TypeError: while types are checked
        Guidance(3.0, "all")
    for scale in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="give a number of at least 0"):
            Guidance(scale)
