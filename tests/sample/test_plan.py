"""Plans: memory of the real pipeline's phases within 15 %, what is proposed for a GPU, and how plans grow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from live_bytes import live_bytes

from video4spatial.sample import plan as plan_module
from video4spatial.sample.devices import RESERVE, Device, find_device, known_devices, measure_cpu, named, this_device
from video4spatial.sample.modes import Sampling
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.plan import denoise_flops, estimate, longest_context, propose, warn_if_too_large
from video4spatial.sample.request import Models, Request
from video4spatial.schema import InputError

PAPER = Request()
H100 = find_device("H100")


@pytest.fixture(scope="module")
def rooms_small() -> Video4SpatialPipeline:
    pipeline = Video4SpatialPipeline.from_pretrained("rooms-small")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize(
    ("width", "height", "context", "frames", "sampling"),
    [
        (96, 64, 11, 33, Sampling()),
        (160, 96, 8, 41, Sampling(branches="sequential")),
        (160, 96, 11, 41, Sampling(context_attention="causal")),
        (160, 96, 11, 41, Sampling(null_context="none")),
    ],
)
def test_memory_of_a_pipelines_phases(rooms_small, width, height, context, frames, sampling):
    pipeline, length = rooms_small, 41
    request = Request.of(
        pipeline.config, sampling, width=width, height=height, context_frames=length, context_latents=context
    )
    request = replace(request, frames=frames, steps=2)
    predicted = {
        phase.name: sum(size for part, size in phase.parts.items() if "weights" not in part)
        for phase in estimate(request, Models.of(pipeline)).phases
    }
    video = np.random.default_rng(0).integers(0, 256, (length, height, width, 3), dtype=np.uint8)
    measured: dict[str, int] = {}
    with live_bytes() as live:
        scene = pipeline.encode_context(video, width=width, height=height)
    measured["encoding context"] = live.peak
    pipeline._texts.clear()
    with live_bytes() as live:
        pipeline.embed_texts(["the red chair"])
    measured["reading text"] = live.peak
    with live_bytes() as live:

        def after_step(done: int, steps: int, latents: torch.Tensor) -> None:
            measured["sampling"] = live.peak

        pipeline(
            scene,
            path="still",
            steps=2,
            guidance=3.0,
            context_latents=context,
            frames=frames,
            sampling=sampling,
            on_step=after_step,
        )
    with torch.no_grad(), live_bytes() as live:
        pipeline.codec.decode(torch.randn(48, request.target_latents, height // 16, width // 16))
    measured["decoding"] = live.peak
    shares = {name: predicted[name] / measured[name] for name in measured}
    assert all(abs(share - 1) <= 0.15 for share in shares.values()), shares


def test_the_papers_setting_fits_24_gb():
    proposals = propose(PAPER, find_device("24GB"))
    assert proposals[0].changes == ()
    assert proposals[0].estimate.peak < 24e9 - RESERVE
    resident = propose(replace(PAPER, release_text_encoder=False), find_device("24GB"))
    assert len(resident[0].changes) == 1
    assert resident[0].request.release_text_encoder
    assert estimate(replace(PAPER, release_text_encoder=False)).peak > 24e9


def test_the_papers_setting_fits_12_gb_with_offload():
    proposals = propose(PAPER, find_device("12GB"))
    assert all(p.estimate.peak <= 12e9 - RESERVE for p in proposals)
    assert proposals[0].request.weights == "int8"
    assert proposals[0].request.offload == "none"
    exact = [p.request for p in proposals if p.request.weights == "as-is"]
    assert [r.offload for r in exact] == ["group"]
    assert all(p.request.context_latents == PAPER.context_latents for p in proposals)


def test_fewer_context_latents_come_last_and_alone():
    long = replace(PAPER, context_latents=3000, context_frames=12001)
    proposals = propose(long, find_device("24GB"))
    assert len(proposals) == 1
    assert proposals[0].request.context_latents < 3000
    assert proposals[0].request.offload == "group"
    assert "context-latents" in proposals[0].changes[-1]
    assert propose(PAPER, find_device("1.5GB")) == []


def test_proposals_need_less_and_less_and_keep_what_was_asked():
    for gpu in ("8GB", "12GB", "24GB", "80GB"):
        proposals = propose(PAPER, find_device(gpu))
        peaks = [p.estimate.peak for p in proposals]
        assert peaks == sorted(peaks, reverse=True)
        assert all(p.request.steps == PAPER.steps and p.request.frames == PAPER.frames for p in proposals)


def test_plans_grow_with_what_is_asked():
    rng = np.random.default_rng(0)
    for _ in range(8):
        request = Request(
            width=32 * int(rng.integers(4, 26)),
            height=32 * int(rng.integers(4, 20)),
            context_latents=int(rng.integers(1, 300)),
            frames=4 * int(rng.integers(2, 60)) + 1,
            steps=int(rng.integers(1, 60)),
        )
        made = estimate(request, device=H100)
        more = (
            replace(request, context_latents=request.context_latents + 1),
            replace(request, frames=request.frames + 4),
            replace(request, width=request.width + 32),
        )
        for larger in more:
            bigger = estimate(larger, device=H100)
            assert bigger.phases[2].peak > made.phases[2].peak
            assert bigger.flops > made.flops
            assert bigger.seconds > made.seconds
        halves = estimate(replace(request, branches="sequential"), device=H100)
        assert halves.phases[2].peak < made.phases[2].peak
        assert halves.flops == made.flops
        assert estimate(replace(request, guides=False)).flops < made.flops
        assert estimate(replace(request, offload="model")).peak < made.peak
        assert estimate(replace(request, weights="int8")).phases[2].peak < made.phases[2].peak
        longest = longest_context(request, H100)
        assert estimate(replace(request, context_latents=longest)).fits(H100)
        assert not estimate(replace(request, context_latents=longest + 1)).fits(H100)


def test_seconds_are_operations_over_an_assumed_share():
    made = estimate(PAPER, device=H100)
    assert made.seconds == pytest.approx(2 * 50 * 187.98 / (0.5 * 989), rel=0.06)  # with VAE and text
    assert "assumed 50%" in H100.basis
    assert estimate(PAPER, device=find_device("24GB")).seconds is None
    rows = {
        "joint": denoise_flops(PAPER, Models()),
        "cached": denoise_flops(replace(PAPER, context_attention="causal"), Models()),
        "no null": denoise_flops(replace(PAPER, null_context="none"), Models()),
    }
    totals = {name: sum(row.values()) for name, row in rows.items()}
    assert totals["cached"] / totals["joint"] == pytest.approx(13.9 / 38, abs=0.02)  # shared estimate of the design
    assert totals["no null"] / totals["joint"] == pytest.approx(24.2 / 38, abs=0.02)
    quick = estimate(replace(PAPER, weights="fp8-matmul"), device=H100).seconds
    assert quick / made.seconds == pytest.approx(26.1 / 38, abs=0.03)
    assert replace(PAPER, guidance_interval=(0.7, 1.0)).guided_steps() < 50


def test_offloaded_weights_take_the_bus():
    card = find_device("RTX 4090")
    plain, model = (estimate(replace(PAPER, offload=o), device=card).seconds for o in ("none", "model"))
    assert 0 < model - plain < 5
    one = replace(PAPER, steps=50, context_latents=0, frames=5, offload="group")
    by_bus = estimate(one, device=card).phases[2].seconds
    assert by_bus > estimate(replace(one, offload="none"), device=card).phases[2].seconds


def test_devices_by_name_and_by_memory():
    assert find_device("rtx4090").memory == 24e9
    assert find_device("NVIDIA GeForce RTX 3090").name == "RTX 3090"
    assert find_device("h100").name == "H100"
    assert find_device("24gib").memory == 24 * 2**30
    for bad in ("A100", "pocket calculator", "0GB", ""):
        with pytest.raises(InputError, match="--gpu"):
            find_device(bad)
    for device in known_devices():
        assert device.memory > 1e10
        assert device.tflops
        assert device.fp8_tflops is None or device.fp8_tflops > device.tflops


def test_the_cpu_at_hand_is_measured():
    cpu = measure_cpu(0.05, 256)
    assert cpu.rate > 1e8
    assert this_device("cpu").memory > 1e7


@pytest.mark.parametrize(
    ("driver", "row"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", None),
        ("NVIDIA GH200 480GB", None),
    ],
)
def test_a_gpu_is_known_by_its_drivers_name(driver, row):
    found = named(driver)
    assert (found.name if found else None) == row


def test_a_model_trained_for_a_mode_is_planned_so(rooms_small):
    """What the pipeline does where nothing is asked for (``Sampling.resolve``)."""
    config = dict(rooms_small.config) | {"context_attention": "causal", "null_context": "none"}
    assert not Request.of(rooms_small.config, Sampling()).causal
    request = Request.of(config, Sampling())
    assert request.causal
    assert request.shortened
    asked = Request.of(config, Sampling(context_attention="joint", null_context="noise"))
    assert not asked.causal
    assert not asked.shortened


def test_a_warning_names_what_would_fit(rooms_small, monkeypatch):
    request = Request.of(rooms_small.config)
    assert warn_if_too_large(rooms_small, request) is None
    monkeypatch.setattr(plan_module, "this_device", lambda device: Device("a toy", 1e5, reserve=0.0, is_gpu=False))
    large = replace(request, width=832, height=480)
    warning = warn_if_too_large(rooms_small, large)
    assert "a toy" in warning
    assert "What would fit: " in warning


def test_a_request_takes_the_models_defaults_and_then_what_is_said(rooms_small):
    request = Request.of(rooms_small.config, Sampling(branches="sequential"), None, steps=3, frames=None)
    assert (request.width, request.height) == (96, 64)
    assert (request.steps, request.branches) == (3, "sequential")
    assert request.frames == rooms_small.config.frames
    with pytest.raises(InputError):
        Request.of(rooms_small.config, width=100)


def test_config_files_tell_what_a_loaded_pipeline_does(rooms_small):
    from video4spatial.model.load import resolve_model

    assert Models.in_folder(resolve_model("rooms-small")) == Models.of(rooms_small)
