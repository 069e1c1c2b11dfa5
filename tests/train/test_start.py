"""What runs start from: stock Wan in each layout, LoRA; and that an exported LoRA is the trained model."""

import contextlib
import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel

from video4spatial.model.frozen import frozen_folder
from video4spatial.model.hub import is_on_hub
from video4spatial.model.lora import load_lora
from video4spatial.schema import InputError
from video4spatial.train.config import LoraConfig, TransformerRun
from video4spatial.train.loop import Trainer
from video4spatial.train.start import base_transformer, starting_transformer
from video4spatial.train.transformer import TransformerTask


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Path:
    """A tiny stock Wan transformer in diffusers' layout, without a camera embedding."""
    root = tmp_path_factory.mktemp("stock")
    torch.manual_seed(1)
    wan = WanTransformer3DModel(
        num_attention_heads=3,
        attention_head_dim=32,
        in_channels=48,
        out_channels=48,
        text_dim=64,
        freq_dim=64,
        ffn_dim=192,
        num_layers=2,
        cross_attn_norm=True,
        rope_max_seq_len=64,
    )
    wan.save_pretrained(root / "transformer")
    return root


def test_stock_wan_is_a_start_with_a_silent_camera(stock, stored_run):
    model = starting_transformer(dataclasses.replace(stored_run, base=str(stock)), 64)
    wan = WanTransformer3DModel.from_pretrained(stock / "transformer")
    for name, p in wan.named_parameters():
        assert torch.equal(dict(model.named_parameters())[name], p), name
    assert not model.camera_embedding.weight.any()
    assert model.camera_embedding.weight.dtype == torch.float32
    with pytest.raises(InputError, match=r"text embeddings are 32 wide, but .* takes 64"):
        starting_transformer(dataclasses.replace(stored_run, base=str(stock)), 32)


def test_names_of_the_hub_are_told_from_folders(tmp_path, monkeypatch, pipeline_folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    assert is_on_hub("Wan-AI/Wan2.2-TI2V-5B-Diffusers")
    for name in ("rooms-small", "models/wan", "./a/b", "/a/b", "a/b/c", str(pipeline_folder)):
        assert not is_on_hub(name)
    with pytest.raises(InputError, match="base=models/wan: no transformer is there"):
        base_transformer("models/wan")
    assert frozen_folder(str(pipeline_folder)) == pipeline_folder
    (tmp_path / "models" / "vae").symlink_to(pipeline_folder / "vae")
    with pytest.raises(InputError, match=r"has no text_encoder, tokenizer folder: .*video4spatial convert"):
        frozen_folder("models")


@pytest.fixture(scope="module")
def lora_run(stored_run, stock) -> TransformerRun:
    optim = dataclasses.replace(stored_run.optim, ema=0.0, lr=0.02)
    return dataclasses.replace(stored_run, base=str(stock), lora=LoraConfig(rank=4, alpha=8.0), optim=optim, steps=4)


@torch.no_grad()
def answer(model) -> torch.Tensor:
    """What a model says of a sequence with a camera."""
    generator = torch.Generator().manual_seed(5)
    latents, text = torch.randn(1, 48, 5, 2, 4, generator=generator), torch.randn(1, 8, 64, generator=generator)
    camera, timestep = torch.randn(1, 24, 5, 2, 4, generator=generator), torch.full((1, 5), 400.0)
    return model.eval()(latents, timestep, text, camera=camera, return_dict=False)[0]


def test_an_exported_lora_on_the_base_is_the_trained_model(lora_run, tmp_path):
    with contextlib.closing(TransformerTask(lora_run, show_progress=False)) as task:
        trained = [name for name, p in task.model.named_parameters() if p.requires_grad]
        assert all(".lora_" in name or name == "camera_embedding.weight" for name in trained)
        assert len(trained) == 2 * 8 * 2 + 1
        before = answer(task.model)
        Trainer(task, lora_run, tmp_path).run()
        after = answer(task.model)
    assert (after - before).abs().max() > 1e-3

    fresh = starting_transformer(lora_run, 64)
    assert torch.equal(answer(fresh), before)
    load_lora(fresh, tmp_path / "lora")
    assert torch.equal(answer(fresh), after)
    fused = starting_transformer(dataclasses.replace(lora_run, base=None, start=str(tmp_path)), 64)
    torch.testing.assert_close(answer(fused), after, atol=1e-5, rtol=1e-5)
    assert not any(".lora_" in name for name, _ in fused.named_parameters())


def test_a_lora_run_resumes_exactly(lora_run, tmp_path):
    config = dataclasses.replace(lora_run, optim=dataclasses.replace(lora_run.optim, decay=0.0))
    ends = []
    for name, parts in (("straight", [4]), ("parts", [2, 4])):
        for number, steps in enumerate(parts):
            run = dataclasses.replace(config, steps=steps)
            with contextlib.closing(TransformerTask(run, show_progress=False)) as task:
                trainer = Trainer(task, run, tmp_path / name)
                if number:
                    trainer.resume()
                trainer.run()
        ends.append(answer(task.model))
    assert torch.equal(*ends)


def test_lora_on_frozen_half_precision(lora_run, tmp_path):
    """The frozen weights are bf16; the additions train in fp32 and are fused into the base in fp32."""
    config = dataclasses.replace(lora_run, precision="bf16", weights_dtype="bf16", checkpointing=True, steps=2)
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        for name, p in task.model.named_parameters():
            kept = "scale_shift_table" in name or ".norm2." in name or "time_" in name
            assert p.dtype == (torch.float32 if p.requires_grad or kept else torch.bfloat16), name
        Trainer(task, config, tmp_path).run()
    fused = starting_transformer(dataclasses.replace(config, base=None, start=str(tmp_path)), 64)
    base = starting_transformer(config, 64)
    difference = (fused.blocks[0].attn1.to_q.weight - base.blocks[0].attn1.to_q.weight).abs().max()
    assert 0 < difference < 0.5
    assert torch.equal(fused.blocks[0].ffn.net[2].weight, base.blocks[0].ffn.net[2].weight)
