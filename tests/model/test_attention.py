"""Context that attends to itself alone: two attentions without a mask, against the mask they stand for."""

import subprocess
import sys

import pytest
import torch

from video4spatial.model.attention import ContextCache
from video4spatial.model.context import assemble
from video4spatial.model.load import small_transformer
from video4spatial.schema import InputError

CONTEXT, TARGET, TOKENS = 3, 4, 2


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(0)
    context, target = (torch.randn(2, 48, n, 2, 4, generator=generator) for n in (CONTEXT, TARGET))
    index = torch.tensor([[2, 7, 31], [0, 1, 1500]])
    sequence = assemble(context, index, target, torch.tensor([640.0, 90.0]))
    return sequence, torch.randn(2, 6, 64, generator=generator)


def block_mask(frames: int = CONTEXT + TARGET, context: int = CONTEXT) -> torch.Tensor:
    mask = torch.ones(frames * TOKENS, frames * TOKENS, dtype=torch.bool)
    mask[: context * TOKENS, context * TOKENS :] = False
    return mask


def run(model, inputs, **options) -> torch.Tensor:
    sequence, text = inputs
    return model(
        sequence.latents, sequence.timestep, text, frame_index=sequence.frame_index, return_dict=False, **options
    )[0]


@torch.no_grad()
def test_two_attentions_equal_the_block_mask(tiny_transformer, inputs):
    masked = run(tiny_transformer, inputs, attention_mask=block_mask())
    found = run(tiny_transformer, inputs, context_frames=CONTEXT, context_attention="causal")
    torch.testing.assert_close(found, masked, rtol=0, atol=1e-5)
    joint = run(tiny_transformer, inputs, context_frames=CONTEXT)
    assert torch.equal(joint, run(tiny_transformer, inputs))
    assert (joint - masked).abs().max() > 1e-2


@torch.no_grad()
def test_without_context_causal_is_joint(tiny_transformer, inputs):
    assert torch.equal(run(tiny_transformer, inputs, context_attention="causal"), run(tiny_transformer, inputs))


@torch.no_grad()
def test_a_mask_over_keys_holds_for_the_target(tiny_transformer, inputs):
    keys = torch.ones(2, 1, 1, (CONTEXT + TARGET) * TOKENS, dtype=torch.bool)
    keys[1, ..., : CONTEXT * TOKENS] = False
    found = run(tiny_transformer, inputs, attention_mask=keys, context_frames=CONTEXT, context_attention="causal")
    assert torch.isfinite(found).all()
    whole = block_mask().expand(2, 1, -1, -1).clone()
    whole[1, :, CONTEXT * TOKENS :, : CONTEXT * TOKENS] = False
    torch.testing.assert_close(found, run(tiny_transformer, inputs, attention_mask=whole), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="only be over keys"):
        run(tiny_transformer, inputs, attention_mask=whole, context_frames=CONTEXT, context_attention="causal")


def gradients(model, inputs, **options) -> dict[str, torch.Tensor]:
    model.zero_grad()
    run(model, inputs, **options)[:, :, CONTEXT:].square().mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_equal_the_block_masks_with_checkpointing_too(inputs):
    torch.manual_seed(0)
    model = small_transformer(96, layers=2)
    torch.nn.init.normal_(model.proj_out.weight, std=0.1)
    wanted = gradients(model, inputs, attention_mask=block_mask())
    causal = {"context_frames": CONTEXT, "context_attention": "causal"}
    plain = gradients(model, inputs, **causal)
    model.enable_gradient_checkpointing()
    checkpointed = gradients(model, inputs, **causal)
    assert len(wanted) > 40
    for name, gradient in wanted.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(plain[name], gradient, rtol=0, atol=1e-5 * max(scale, 1e-3), msg=name)
        torch.testing.assert_close(checkpointed[name], plain[name], rtol=0, atol=1e-6 * max(scale, 1e-3), msg=name)


@torch.no_grad()
def test_rows_of_a_cache_are_the_branches_by_themselves(tiny_transformer, inputs):
    sequence, text = inputs
    context, target = sequence.context_alone(), sequence.target_alone()
    cache = ContextCache()
    with pytest.raises(RuntimeError, match="freeze"):
        cache.row(0)
    run(tiny_transformer, (context, text), context_cache=cache)
    both = run(tiny_transformer, (target, text), context_cache=cache.freeze())
    torch.testing.assert_close(
        both,
        sequence.target(run(tiny_transformer, inputs, context_frames=CONTEXT, context_attention="causal")),
        rtol=0,
        atol=1e-5,
    )
    for row in range(2):
        one = tiny_transformer(
            target.latents[row : row + 1],
            target.timestep[row : row + 1],
            text[row : row + 1],
            frame_index=target.frame_index[row],
            context_cache=cache.row(row),
            return_dict=False,
        )[0]
        torch.testing.assert_close(one, both[row : row + 1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_cache_of_another_transformer_is_refused(tiny_transformer, inputs):
    sequence, text = inputs
    with pytest.raises(RuntimeError, match="empty"):
        ContextCache().freeze()
    cache = ContextCache()
    run(small_transformer(96, layers=1), (sequence.context_alone(), text), context_cache=cache)
    with pytest.raises(RuntimeError, match="no layer 1"):
        run(tiny_transformer, (sequence.target_alone(), text), context_cache=cache.freeze())


def test_context_parallelism_is_refused(tiny_transformer, inputs, monkeypatch):
    """A process then holds a part of the tokens and cannot know which of them are context."""
    monkeypatch.setattr(tiny_transformer, "_parallel_config", object())
    for options in ({"context_frames": CONTEXT, "context_attention": "causal"}, {"context_cache": ContextCache()}):
        with pytest.raises(InputError, match="context parallelism needs context_attention joint"):
            run(tiny_transformer, inputs, **options)


COMPILED = """
import itertools
import torch
from video4spatial.model.attention import ContextCache
from video4spatial.model.context import assemble
from video4spatial.model.load import small_transformer

torch.manual_seed(0)
torch.set_grad_enabled(False)
model = small_transformer(96, layers=4).eval()
torch.nn.init.normal_(model.proj_out.weight, std=0.1)
context, target, text = torch.randn(1, 48, 3, 2, 4), torch.randn(1, 48, 4, 2, 4), torch.randn(1, 6, 64)
sequence = assemble(context, torch.tensor([[2, 7, 31]]), target, torch.tensor([640.0]))

def run(part, cache):
    return model(part.latents, part.timestep, text, frame_index=part.frame_index, context_cache=cache,
                 return_dict=False)[0]

def cached():
    cache = ContextCache()
    run(sequence.context_alone(), cache)
    return run(sequence.target_alone(), cache.freeze())

expected, graphs = cached(), []

def count(graph, inputs):
    graphs.append(1)
    return graph.forward

for block in model.blocks:
    block.compile(backend=count, fullgraph=True, dynamic=False)
error = max((cached() - expected).abs().max().item() for _ in range(2))
print(error, len(graphs))
"""


def test_compiled_blocks_are_shared_by_all_layers():
    """One graph for filling and one for reading, not one a layer. (Its own process: type checks do not compile.)"""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    error, graphs = done.stdout.split()
    assert float(error) < 1e-5
    assert int(graphs) <= 3
