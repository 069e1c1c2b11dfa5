"""Joint guidance against the same velocities combined by hand."""

import dataclasses

import pytest
import torch
from live_bytes import LiveBytes
from meta_models import meta_transformer

from video4spatial.model.context import assemble
from video4spatial.model.load import sampler
from video4spatial.sample.denoise import denoise
from video4spatial.sample.guidance import Conditions, Guidance, GuidedVelocity, guided_velocity
from video4spatial.sample.modes import Sampling
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
    """The transformer, and how many sequences it was given: in which batches, of how many latent frames."""

    def __init__(self, model) -> None:
        self.model, self.sequences = model, 0
        self.batches: list[int] = []
        self.frames: list[int] = []

    def __call__(self, latents, *args, **kwargs):
        self.sequences += len(latents)
        self.batches.append(len(latents))
        self.frames.append(latents.shape[2])
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


MODES = [
    Sampling(),
    Sampling(guidance_interval=(0.5, 0.8)),
    Sampling(context_attention="causal"),
    Sampling(context_attention="causal", guidance_interval=(0.5, 0.8)),
    Sampling(block_cache=0.0),
]


def walk(model, conditions, target, guidance: Guidance, sampling: Sampling) -> list[torch.Tensor]:
    """A few steps of one clip, each from where the last one led."""
    velocity, found = GuidedVelocity(model, conditions, guidance, sampling), []
    for sigma in (1.0, 0.75, 0.6, 0.2):
        flow = velocity(target, torch.tensor(1000 * sigma), sigma)
        target = torch.cat([target[:, :, :1], (target - 0.2 * flow)[:, :, 1:]], dim=2)
        found.append(flow)
    return found


@torch.no_grad()
@pytest.mark.parametrize("sampling", MODES, ids=str)
@pytest.mark.parametrize("mode", ["joint", "text"])
def test_one_branch_after_the_other_is_both_at_once(tiny_transformer, conditions, target, sampling, mode):
    both, single = Counted(tiny_transformer), Counted(tiny_transformer)
    guidance = Guidance(4.0, mode)
    expected = walk(both, conditions, target, guidance, sampling)
    found = walk(single, conditions, target, guidance, dataclasses.replace(sampling, branches="sequential"))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-4)
    assert max(single.batches) == 1
    assert max(both.batches) == 2
    assert single.sequences == both.sequences


@torch.no_grad()
def test_steps_that_keep_things_are_steps_by_themselves(tiny_transformer, conditions, target):
    for vanilla in (False, True):
        c = dataclasses.replace(conditions, vanilla_rope=vanilla)
        velocity = GuidedVelocity(tiny_transformer, c, Guidance(4.0))
        for sigma in (1.0, 0.64, 0.1):
            time = torch.tensor(1000 * sigma)
            expected = guided_velocity(tiny_transformer, target * sigma, time, c, Guidance(4.0))
            assert torch.equal(velocity(target * sigma, time, sigma), expected)


@torch.no_grad()
def test_outside_the_interval_one_branch_runs(tiny_transformer, conditions, target):
    counted = Counted(tiny_transformer)
    sampling = Sampling(guidance_interval=(0.5, 0.8))
    velocity = GuidedVelocity(counted, conditions, Guidance(4.0), sampling)
    exact = {True: Guidance(4.0), False: Guidance(4.0, "none")}
    for sigma, guided in ((1.0, False), (0.8, True), (0.64, True), (0.5, True), (0.49, False)):
        counted.sequences = 0
        found = velocity(target, torch.tensor(1000 * sigma), sigma)
        assert counted.sequences == (2 if guided else 1)
        expected = guided_velocity(tiny_transformer, target, torch.tensor(1000 * sigma), conditions, exact[guided])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["joint", "causal"])
def test_a_null_branch_without_context(tiny_transformer, conditions, target, attention):
    """The target by itself, at the indices it has after the context."""
    c = conditions
    sampling = Sampling(null_context="none", context_attention=attention)
    counted = Counted(tiny_transformer)
    velocity = GuidedVelocity(counted, c, Guidance(3.0), sampling)
    found = velocity(target, TIME, 0.64)
    assert not velocity.batched
    assert counted.batches == ([1, 1, 1] if attention == "causal" else [1, 1])
    times = torch.tensor([[0.0, 640.0, 640.0, 640.0]])
    index = 31 + 1 + 50 + torch.arange(4)
    null = tiny_transformer(target, times, c.null_text, frame_index=index, return_dict=False)[0]
    only = Sampling(context_attention=attention)
    cond = guided_velocity(tiny_transformer, target, TIME, c, Guidance(3.0, "none"), only)
    torch.testing.assert_close(found, null + 3 * (cond - null), rtol=0, atol=1e-4)
    noise = guided_velocity(tiny_transformer, target, TIME, c, Guidance(3.0), only)
    assert (found - noise).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("branches", ["batched", "sequential"])
def test_cached_context_is_the_block_mask_over_all_of_sampling(tiny_transformer, conditions, branches):
    c, guidance, steps = conditions, Guidance(3.0), 6
    generator = torch.Generator().manual_seed(2)
    noise, first = (torch.randn(1, 48, n, 2, 4, generator=generator) for n in (4, 1))
    mask = torch.ones(14, 14, dtype=torch.bool)
    mask[:6, 6:] = False

    def masked(latents, timestep, sigma):
        found = []
        for context, time, text, camera in (
            (c.context, 0.0, c.text, c.camera),
            (c.context_noise, 1000.0, c.null_text, torch.zeros_like(c.camera)),
        ):
            s = assemble(context, c.context_index, latents, timestep.float().reshape(1), camera, time)
            out = tiny_transformer(
                s.latents,
                s.timestep,
                text,
                frame_index=s.frame_index,
                camera=s.camera,
                attention_mask=mask,
                return_dict=False,
            )[0]
            found.append(s.target(out))
        return found[1] + guidance.scale * (found[0] - found[1])

    expected = denoise(sampler(), masked, noise, first, steps)
    counted = Counted(tiny_transformer)
    velocity = GuidedVelocity(counted, c, guidance, Sampling(branches, context_attention="causal"))
    found = denoise(sampler(), velocity, noise, first, steps)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    context_tokens = sum(frames for frames in counted.frames if frames == 3)
    assert context_tokens == 3 * (1 if branches == "batched" else 2)  # the context went through once a clip and branch
    joint = denoise(sampler(), GuidedVelocity(tiny_transformer, c, guidance), noise, first, steps)
    assert (joint - expected).abs().max() > 1e-2


@torch.no_grad()
def test_block_caching_skips_blocks_a_branch_at_a_time_and_forgets_between_clips(tiny_transformer, conditions, target):
    calls = []
    hook = tiny_transformer.blocks[1].register_forward_hook(lambda module, args, out: calls.append(len(out)))
    try:
        for branches, first_step in (("batched", [2]), ("sequential", [1, 1])):
            for attention in ("joint", "causal"):
                sampling = Sampling(branches, block_cache=1e9, context_attention=attention)
                for _ in range(2):  # the second clip begins anew
                    calls.clear()
                    walk(tiny_transformer, conditions, target, Guidance(4.0), sampling)
                    prefill = first_step if attention == "causal" else []
                    assert calls == prefill + first_step
        calls.clear()
        interval = Sampling(block_cache=1e9, guidance_interval=(0.5, 0.8))
        walk(tiny_transformer, conditions, target, Guidance(4.0), interval)
        assert calls == [1, 2]  # alone at first; then the null branch has nothing to reuse, and the pair is computed
    finally:
        hook.remove()


@torch.no_grad()
def test_modes_go_with_no_context_at_all(tiny_transformer, conditions, target):
    none = dataclasses.replace(
        conditions,
        context=conditions.context[:, :, :0],
        context_noise=conditions.context_noise[:, :, :0],
        context_index=conditions.context_index[:, :0],
    )
    expected = guided_velocity(tiny_transformer, target, TIME, none, Guidance(4.0))
    sampling = Sampling(context_attention="causal", null_context="none")
    assert torch.equal(guided_velocity(tiny_transformer, target, TIME, none, Guidance(4.0), sampling), expected)


@torch.no_grad()
def test_branches_one_after_the_other_take_half_the_memory(tiny_transformer, conditions, target):
    peaks = []
    for branches in ("batched", "sequential"):
        velocity = GuidedVelocity(tiny_transformer, conditions, Guidance(4.0), Sampling(branches))
        velocity(target, TIME, 0.64)  # what is kept over the steps is not counted
        with LiveBytes() as live:
            velocity(target, TIME, 0.64)
        peaks.append(live.peak)
    assert 0.45 < peaks[1] / peaks[0] < 0.6


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(branches="sequential", guidance_interval=(0.4, 0.95)),
        Sampling(guidance_interval=(0.4, 0.95)),
        Sampling(context_attention="causal"),
        Sampling(context_attention="causal", null_context="none"),
    ],
)
@pytest.mark.parametrize("latents", [0, 3])
@torch.no_grad()
def test_no_step_waits_for_the_device(sampling, latents):
    """A clip in bfloat16 on the meta device, which has no values to read back and takes no tensor of another device.

    (First-block caching decides on the host, from what the device says.)
    """
    sizes = {"num_attention_heads": 2, "attention_head_dim": 24, "ffn_dim": 64, "text_dim": 16, "freq_dim": 16}
    transformer = meta_transformer(num_layers=2, **sizes)

    def on_meta(*size: int) -> torch.Tensor:
        return torch.empty(1, *size, dtype=torch.bfloat16, device="meta")

    conditions = Conditions(
        context=on_meta(48, latents, 2, 4),
        context_index=torch.arange(latents, device="meta")[None],
        context_noise=on_meta(48, latents, 2, 4),
        text=on_meta(6, 16),
        null_text=on_meta(6, 16),
        camera=on_meta(24, 4, 2, 4),
        gap=50,
    )
    velocity = GuidedVelocity(transformer, conditions, Guidance(5.0), sampling)
    clip = denoise(sampler(), velocity, on_meta(48, 4, 2, 4), on_meta(48, 1, 2, 4), steps=6)
    assert (clip.device.type, clip.dtype) == ("meta", torch.float32)
    skipping = GuidedVelocity(transformer, conditions, Guidance(5.0), Sampling(block_cache=0.1))
    with pytest.raises(RuntimeError, match="item"):  # so it would have been noticed
        denoise(sampler(), skipping, on_meta(48, 4, 2, 4), on_meta(48, 1, 2, 4), steps=2)
