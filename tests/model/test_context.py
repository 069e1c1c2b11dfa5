"""The sequence the transformer is called with."""

import torch

from video4spatial.model.context import CONTEXT_GAP, assemble


def parts(context_frames: int = 3, target_frames: int = 4):
    generator = torch.Generator().manual_seed(0)
    context = torch.randn(2, 8, context_frames, 2, 4, generator=generator)
    target = torch.randn(2, 8, target_frames, 2, 4, generator=generator)
    index = torch.tensor([[4, 9, 30], [0, 1, 2]])[:, :context_frames]
    camera = torch.randn(2, 24, target_frames, 2, 4, generator=generator)
    return context, index, target, torch.tensor([700.0, 12.5]), camera


def test_clean_latents_are_at_time_zero_and_the_others_at_theirs():
    context, index, target, timestep, camera = parts()
    sequence = assemble(context, index, target, timestep, camera)
    assert sequence.timestep.tolist() == [[0, 0, 0, 0, 700, 700, 700], [0, 0, 0, 0, 12.5, 12.5, 12.5]]
    assert sequence.timestep.dtype == torch.float32
    assert torch.equal(sequence.latents, torch.cat([context, target], dim=2))
    assert torch.equal(sequence.target(sequence.latents), target)


def test_context_keeps_its_indices_and_the_target_follows_after_the_gap():
    context, index, target, timestep, _ = parts()
    sequence = assemble(context, index, target, timestep)
    assert sequence.frame_index.tolist() == [[4, 9, 30, 81, 82, 83, 84], [0, 1, 2, 53, 54, 55, 56]]
    assert CONTEXT_GAP == 50
    near = assemble(context, index, target, timestep, gap=0)
    assert near.frame_index[0].tolist() == [4, 9, 30, 31, 32, 33, 34]


def test_context_carries_no_pose():
    context, index, target, timestep, camera = parts()
    sequence = assemble(context, index, target, timestep, camera)
    assert not sequence.camera[:, :, :3].any()
    assert torch.equal(sequence.camera[:, :, 3:], camera)
    assert assemble(context, index, target, timestep).camera is None


def test_without_context_it_is_a_plain_clip():
    context, index, target, timestep, camera = parts(context_frames=0)
    sequence = assemble(context, index, target, timestep, camera)
    assert sequence.frame_index.tolist() == [[0, 1, 2, 3]] * 2
    assert sequence.timestep[0].tolist() == [0, 700, 700, 700]
    assert torch.equal(sequence.latents, target)
    assert torch.equal(sequence.camera, camera)


def test_vanilla_indices_are_contiguous():
    context, index, target, timestep, _ = parts()
    sequence = assemble(context, index, target, timestep, vanilla_rope=True)
    assert sequence.frame_index.tolist() == [list(range(7))] * 2


def test_noise_in_the_contexts_place_is_told_so_for_each_example():
    context, index, target, timestep, _ = parts()
    sequence = assemble(context, index, target, timestep, context_timestep=torch.tensor([1000.0, 0.0]))
    assert sequence.timestep[:, :4].tolist() == [[1000, 1000, 1000, 0], [0, 0, 0, 0]]


def test_the_target_alone_keeps_its_place_after_the_context():
    context, index, target, timestep, camera = parts()
    sequence = assemble(context, index, target, timestep, camera)
    alone = sequence.target_alone()
    assert alone.context_frames == 0
    assert torch.equal(alone.latents, target)
    assert alone.frame_index.tolist() == [[81, 82, 83, 84], [53, 54, 55, 56]]
    assert alone.timestep.tolist() == [[0, 700, 700, 700], [0, 12.5, 12.5, 12.5]]
    assert torch.equal(alone.camera, camera)
    before = sequence.context_alone()
    assert torch.equal(before.latents, context)
    assert (before.timestep.tolist(), before.frame_index.tolist()) == ([[0] * 3] * 2, index.tolist())
    assert before.camera is None


def test_the_next_step_replaces_target_and_time_and_nothing_else():
    context, index, target, timestep, camera = parts()
    sequence = assemble(context, index, target, timestep, camera, context_timestep=1000.0)
    alone = sequence.target_alone()
    wanted = assemble(context, index, target + 1, torch.tensor([640.0, 640.0]), camera, context_timestep=1000.0)
    sequence.renew(target + 1, torch.tensor(640.0))
    for name in ("latents", "timestep", "frame_index", "camera"):
        assert torch.equal(getattr(sequence, name), getattr(wanted, name)), name
    assert torch.equal(alone.latents, target + 1)  # a view of the same sequence
    alone.renew(target, torch.tensor(5.0))
    assert alone.timestep.tolist() == [[0, 5, 5, 5]] * 2
