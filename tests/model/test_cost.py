"""The cost model against the real modules: parameters and operations exactly, memory within 15 % of live bytes."""

from dataclasses import replace

import pytest
import torch
from live_bytes import flash_attention_on_meta, live_bytes
from meta_models import backward_bytes, meta_inputs, meta_transformer, meta_vae
from torch.utils.flop_counter import FlopCounterMode
from transformers import UMT5Config, UMT5EncoderModel

from video4spatial.model.cost import SequenceShape, TransformerShape, training_estimate
from video4spatial.model.cost.text import TextShape, text_bytes, text_flops, text_parameters, text_weight_bytes
from video4spatial.model.cost.training import model_flops, step_bytes, trained_parameters, training_flops
from video4spatial.model.cost.transformer import (
    block_bytes,
    block_parameters,
    cache_bytes,
    forward_bytes,
    forward_flops,
    parameter_counts,
    parameters,
    weight_bytes,
)
from video4spatial.model.cost.vae import VaeShape, chunk_bytes, decode_flops, encode_flops, vae_parameters
from video4spatial.model.load import small_transformer, small_vae
from video4spatial.schema import InputError
from video4spatial.train.step import select_trained

PAPER = SequenceShape(context=84, target=46)
SMALL = {
    "num_layers": 4,
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "ffn_dim": 384,
    "text_dim": 64,
    "freq_dim": 64,
}


def within(predicted: float, measured: float, share: float = 0.15) -> bool:
    return abs(predicted / measured - 1) <= share


def test_parameters_are_those_of_the_real_transformer():
    full = TransformerShape()
    camera = parameter_counts(full)["camera"]
    assert parameters(full) - camera == 4_999_787_712
    assert parameters(full) == sum(p.numel() for p in meta_transformer().parameters())
    for model in (small_transformer(), small_transformer(96, layers=2, text_dim=32)):
        shape = TransformerShape.from_config(model.config)
        assert parameters(shape) == sum(p.numel() for p in model.parameters())
        assert block_parameters(shape) == sum(p.numel() for p in model.blocks[0].parameters())
        assert trained_parameters(shape, "attention") == select_trained(model, "attention")
        assert trained_parameters(shape, "all") == select_trained(model, "all")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weight_bytes_are_those_of_the_real_transformer(dtype):
    model = meta_transformer(dtype)
    shape = TransformerShape()
    assert weight_bytes(shape, dtype.itemsize) == sum(p.nbytes for p in model.parameters())
    assert block_bytes(shape, dtype.itemsize) == sum(p.nbytes for p in model.blocks[0].parameters())
    quantised = weight_bytes(shape, dtype.itemsize, quantised=True)
    assert quantised < weight_bytes(shape, dtype.itemsize) / (1.7 if dtype == torch.bfloat16 else 3)


def test_parameters_are_those_of_the_real_vae_and_text_encoder():
    assert sum(vae_parameters(VaeShape())) == sum(p.numel() for p in meta_vae().parameters()) == 704_688_668
    for width in (16, 48):
        vae = small_vae(width)
        shape = VaeShape.from_config(vae.config)
        encoder = sum(p.numel() for part in (vae.encoder, vae.quant_conv) for p in part.parameters())
        assert vae_parameters(shape) == (encoder, sum(p.numel() for p in vae.parameters()) - encoder)
    xxl = UMT5Config(vocab_size=256384, d_model=4096, d_ff=10240, num_layers=24, num_heads=64, d_kv=64)
    with torch.device("meta"):
        encoder = UMT5EncoderModel(xxl)
    assert text_parameters(TextShape.from_config(xxl)) == sum(p.numel() for p in encoder.parameters()) == 5_680_910_336
    assert TextShape.from_config(xxl) == TextShape()
    assert text_weight_bytes(TextShape(), 2) == 2 * 5_680_910_336
    assert text_weight_bytes(TextShape(), 2, quantised=True) < 0.7 * 2 * 5_680_910_336


def test_the_vae_of_another_kind_is_refused():
    from diffusers import AutoencoderKLWan

    with torch.device("meta"), pytest.raises(InputError, match=r"Wan2\.2"):
        VaeShape.from_config(AutoencoderKLWan(base_dim=16).config)


def counted(run) -> float:
    """Operations by PyTorch's own counter."""
    with torch.no_grad(), flash_attention_on_meta(), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_operations_of_a_forward_pass_are_pytorchs_count():
    for config, width, height, frames in ((SMALL, 96, 64, 7), (SMALL, 128, 96, 12), ({}, 416, 256, 130)):
        model = meta_transformer(**config)
        inputs = meta_inputs(model, 1, frames, width, height)
        flops = forward_flops(TransformerShape.from_config(model.config), SequenceShape(0, frames, width, height))
        assert sum(flops.values()) == counted(lambda model=model, inputs=inputs: model(**inputs))


def test_operations_at_the_papers_setting():
    """The figures of the issue: 187.9 TFLOP a forward pass at 13,520 tokens, about 715 a training step."""
    flops = forward_flops(TransformerShape(), PAPER)
    assert PAPER.tokens == 13_520
    assert sum(flops.values()) / 1e12 == pytest.approx(187.9, abs=0.1)
    assert flops["self-attention"] / 1e12 == pytest.approx(67.4, abs=0.05)
    step = training_flops(TransformerShape(), PAPER)
    assert sum(step.values()) / 1e12 == pytest.approx(715, abs=1)
    assert model_flops(step) == sum(step.values()) - step["recompute"]


def test_cached_context_costs_what_a_target_alone_does_against_all_keys():
    shape, target = TransformerShape(), replace(PAPER, context=0)
    cached = 84 * PAPER.tokens_a_frame
    flops, alone = forward_flops(shape, target, cached), forward_flops(shape, target)
    assert flops["linear"] == alone["linear"]
    assert flops["self-attention"] == alone["self-attention"] * PAPER.tokens / target.tokens
    assert cache_bytes(shape, cached) / 1e9 == pytest.approx(3.2, abs=0.05)


@pytest.mark.parametrize("trains", ["attention", "all"])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_operations_of_a_training_step_are_pytorchs_count(trains, checkpointing):
    model = meta_transformer(**SMALL).train()
    select_trained(model, trains)
    if checkpointing:
        model.enable_gradient_checkpointing()
    inputs = meta_inputs(model, 1, 12, 96, 64)
    with flash_attention_on_meta(), FlopCounterMode(display=False) as counter:
        model(**inputs, return_dict=False)[0].sum().backward()
    shape, sequence = TransformerShape.from_config(model.config), SequenceShape(0, 12, 96, 64)
    predicted = sum(training_flops(shape, sequence, trains, checkpointing).values())
    assert predicted == pytest.approx(counter.get_total_flops(), rel=1e-3)


@pytest.mark.parametrize(("width", "height"), [(96, 64), (192, 128)])
def test_operations_of_the_vae_are_pytorchs_count(width, height):
    for vae in (small_vae(16), meta_vae()):
        vae, shape = vae.to("meta"), VaeShape.from_config(vae.config)
        video = torch.empty(1, 3, 9, height, width, device="meta")
        latents = torch.empty(1, 48, 3, height // 16, width // 16, device="meta")
        assert encode_flops(shape, width, height, 3) == counted(lambda vae=vae, video=video: vae.encode(video))
        assert decode_flops(shape, width, height, 3) == counted(lambda vae=vae, z=latents: vae.decode(z))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("config", "dtype"), [({}, "bfloat16"), (SMALL, "bfloat16"), (SMALL, "float32")])
def test_memory_of_a_forward_pass(config, dtype, batch):
    """The 5B model at the paper's shape on the meta device, both branches in one batch and one after the other."""
    model = meta_transformer(getattr(torch, dtype), **config)
    inputs = meta_inputs(model, batch, PAPER.frames)
    with torch.no_grad(), live_bytes() as live:
        model(**inputs)
    shape = TransformerShape.from_config(model.config)
    assert within(forward_bytes(shape, PAPER, batch, model.dtype.itemsize), live.peak, 0.05), live.at_peak


def test_memory_of_a_forward_pass_over_2700_frames():
    model = meta_transformer()
    inputs = meta_inputs(model, 1, 680 + 46)
    with torch.no_grad(), live_bytes() as live:
        model(**inputs)
    assert within(forward_bytes(TransformerShape(), SequenceShape(680, 46)), live.peak, 0.05)


@pytest.mark.parametrize("trains", ["attention", "all"])
@pytest.mark.parametrize(
    ("config", "dtype", "checkpointing"),
    [({}, "bfloat16", True), ({}, "bfloat16", False), (SMALL, "float32", True), (SMALL, "bfloat16", False)],
)
def test_memory_of_a_training_step(config, dtype, checkpointing, trains):
    """The 5B model at the paper's training shape on the meta device: 42 context latents, 46 with the first frame."""
    sequence = SequenceShape(context=42, target=46)
    model = meta_transformer(getattr(torch, dtype), **config).train()
    select_trained(model, trains)
    if checkpointing:
        model.enable_gradient_checkpointing()
    gradients, live = backward_bytes(model, sequence)
    shape = TransformerShape.from_config(model.config)
    predicted = step_bytes(shape, sequence, gradients, 1, model.dtype.itemsize, trains, checkpointing, fused_norm=False)
    assert within(predicted, live.peak), live.at_peak


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("width", "height"), [(416, 256), (832, 480)])
def test_memory_of_a_vae_chunk_at_full_size(width, height, dtype):
    vae, shape = meta_vae(dtype), VaeShape()
    video = torch.empty(1, 3, 13, height, width, dtype=dtype, device="meta")
    with torch.no_grad(), live_bytes() as live:
        vae.encode(video)
    assert within(chunk_bytes(shape, "encode", width, height, dtype.itemsize, clip_frames=13), live.peak, 0.05)
    with torch.no_grad(), live_bytes() as live:
        vae.encode(video[:, :, :1])
    assert within(chunk_bytes(shape, "encode", width, height, dtype.itemsize, frames=1), live.peak, 0.05)
    latents = torch.empty(1, 48, 4, height // 16, width // 16, dtype=dtype, device="meta")
    with torch.no_grad(), live_bytes() as live:
        vae.decode(latents)
    assert within(chunk_bytes(shape, "decode", width, height, dtype.itemsize, clip_frames=13), live.peak, 0.05)


@pytest.mark.parametrize("element", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("width", "heads", "head_dim", "ffn", "tokens"), [(256, 8, 32, 512, 512), (512, 8, 64, 1280, 96)]
)
def test_cost_of_the_text_encoder(width, heads, head_dim, ffn, tokens, element):
    config = UMT5Config(
        vocab_size=64,
        d_model=width,
        d_kv=head_dim,
        d_ff=ffn,
        num_layers=2,
        num_heads=heads,
        feed_forward_proj="gated-gelu",
    )
    encoder, shape = UMT5EncoderModel(config).to(element).eval(), TextShape.from_config(config)
    assert text_parameters(shape) == sum(p.numel() for p in encoder.parameters())
    ids, mask = torch.zeros(2, tokens, dtype=torch.long), torch.ones(2, tokens, dtype=torch.long)
    mask[:, tokens // 3 :] = 0
    with torch.no_grad(), live_bytes() as live:
        encoder(ids, mask)
    assert within(text_bytes(shape, tokens, 2, element.itemsize), live.peak), live.at_peak
    encoder = encoder.to("meta")
    linear = text_flops(shape, tokens) - 2 * shape.layers * 4.0 * tokens**2 * shape.inner  # attention is not counted
    assert counted(lambda: encoder(ids.to("meta"), None)) == linear


def test_memory_grows_with_context_tokens_and_batch():
    shape = TransformerShape()
    for other in (
        replace(PAPER, context=85),
        replace(PAPER, target=47),
        replace(PAPER, width=448),
        replace(PAPER, text=513),
    ):
        assert forward_bytes(shape, other) > forward_bytes(shape, PAPER)
        assert sum(forward_flops(shape, other).values()) > sum(forward_flops(shape, PAPER).values())
    assert forward_bytes(shape, PAPER, 2) == pytest.approx(2 * forward_bytes(shape, PAPER), rel=1e-6)
    assert forward_bytes(shape, PAPER, 1, 4) > forward_bytes(shape, PAPER, 1, 2)


def test_an_estimate_of_the_papers_run():
    run = training_estimate(gpus=8)
    assert run.samples == 20_000 * 160
    assert run.trained == trained_parameters(TransformerShape(), "attention")
    assert run.memory_per_gpu < 75e9
    assert 1 < run.days < 10
    assert any("a GPU" in line for line in run.lines())
    alone, eight_bit = training_estimate(gpus=1), training_estimate(gpus=1, optimiser="adamw8bit")
    assert alone.days == pytest.approx(8 * run.days)
    assert alone.memory_per_gpu > run.memory_per_gpu
    assert eight_bit.memory["optimiser states"] < 0.26 * alone.memory["optimiser states"]
    assert training_estimate(gpus=1, trains="all").memory_per_gpu > alone.memory_per_gpu
    assert training_estimate(gpus=1, trains="lora").memory["gradients"] < 0.1 * alone.memory["gradients"]
    halves = training_estimate(gpus=8, context_parallel=2)
    assert halves.memory["activations"] < 0.6 * run.memory["activations"]
    assert training_estimate(checkpointing=False).memory["activations"] > 5 * run.memory["activations"]
