"""Where models come from, and how fresh ones start."""

import numpy as np
import pytest
import torch

from video4spatial.model import load
from video4spatial.model.context import assemble
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import InputError


def test_unknown_models_are_refused_with_the_shipped_names(tmp_path, monkeypatch):
    (tmp_path / "small-one").mkdir()
    (tmp_path / "small-one" / "model_index.json").write_text("{}")
    (tmp_path / "not-a-model").mkdir()
    monkeypatch.setattr(load, "SHIPPED", tmp_path)
    assert load.resolve_model("small-one") == tmp_path / "small-one"
    with pytest.raises(InputError, match=r"'nonsense' is neither a shipped model \(small-one\) nor a folder"):
        load.resolve_model("nonsense")
    for name in ("not-a-model", "", "."):
        with pytest.raises(InputError, match="neither a shipped model"):
            load.resolve_model(name)


def test_a_folder_is_a_model(pipeline_folder):
    assert load.resolve_model(pipeline_folder) == pipeline_folder
    assert load.resolve_model(str(pipeline_folder)) == pipeline_folder


def test_parts_are_found_in_pipelines_runs_and_alone(pipeline_folder, tmp_path):
    part = pipeline_folder / "vae"
    assert load.resolve_part(pipeline_folder, "vae") == part
    assert load.resolve_part(part, "vae") == part
    with pytest.raises(InputError, match="no vae is there"):
        load.resolve_part(tmp_path, "vae")


def test_the_tokenizer_knows_its_words_and_no_others():
    tokenizer = load.word_tokenizer(["red", "armchair", "the"], max_tokens=8)
    ids = tokenizer("The RED armchair", padding="max_length", max_length=8).input_ids
    assert tokenizer.convert_ids_to_tokens(ids) == ["the", "red", "armchair"] + ["<pad>"] * 5
    assert tokenizer("the zebra").input_ids[1] == tokenizer.unk_token_id
    assert tokenizer("red, red.").input_ids == tokenizer.convert_tokens_to_ids(["red", ",", "red", "."])
    again = load.word_tokenizer(["the", "armchair", "red", "red"])
    assert again.get_vocab() == tokenizer.get_vocab()


def test_small_text_encoders_are_the_same_every_time_and_leave_the_generator_alone():
    torch.manual_seed(5)
    first = load.small_text_encoder(10).state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)
    for name, tensor in load.small_text_encoder(10).state_dict().items():
        assert torch.equal(tensor, first[name]), name
    assert not torch.equal(load.small_text_encoder(10, seed=1).shared.weight, first["shared.weight"])


@torch.no_grad()
def test_a_fresh_transformer_is_silent_and_looks_for_likeness():
    torch.manual_seed(0)
    model = load.small_transformer(96, layers=2).eval()
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 48, 4, 2, 4, generator=generator)
    camera = torch.randn(1, 24, 4, 2, 4, generator=generator)
    text = torch.randn(1, 48, 64, generator=generator)
    out = model(latents, torch.tensor([500.0]), text, camera=camera, return_dict=False)[0]
    assert out.shape == latents.shape
    assert not out.any()
    for block in model.blocks:
        assert torch.equal(block.attn1.to_q.weight, block.attn1.to_k.weight)
        assert not torch.equal(block.attn1.to_q.weight, block.attn1.to_v.weight)
        assert not torch.equal(block.attn2.to_q.weight, block.attn2.to_k.weight)


def test_a_silent_transformer_can_learn():
    """Zero output must not mean zero gradient: the last layer learns at once, the camera embedding after it."""
    torch.manual_seed(0)
    model = load.small_transformer(96, layers=1)
    sequence = assemble(
        torch.randn(2, 48, 2, 2, 4),
        torch.tensor([[0, 7], [3, 4]]),
        torch.randn(2, 48, 3, 2, 4),
        torch.tensor([900.0, 300.0]),
        torch.randn(2, 24, 3, 2, 4),
    )
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        out = model(
            sequence.latents,
            sequence.timestep,
            torch.randn(2, 5, 64),
            frame_index=sequence.frame_index,
            camera=sequence.camera,
            return_dict=False,
        )[0]
        (out - 1).square().mean().backward()
        optimiser.step()
    assert model.camera_embedding.weight.grad.abs().max() > 0
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in silent if "attn2.to_k" not in name and "attn2.norm_k" not in name], silent


def test_widths_that_do_not_divide_are_refused():
    with pytest.raises(InputError, match="width is 100, but it must divide by head_dim 32"):
        load.small_transformer(100)


@pytest.mark.parametrize("width", [16, 48])
def test_the_small_vae_has_wans_strides(width):
    vae = load.small_vae(width).eval()
    latents = LatentCodec(vae).encode(np.zeros((9, 64, 96, 3), np.uint8))
    assert latents.shape == (48, 3, 4, 6)
    assert vae.config.scale_factor_spatial == 16
    assert vae.config.scale_factor_temporal == 4


def test_a_still_clip_decodes_as_its_frame(codec, noise_frames):
    """Inflated from images: what the decoder learns on single frames holds for clips at once."""
    vae = codec.vae
    alone = vae.encode(codec._signal(noise_frames[:1])[None]).latent_dist.mode()
    frame, clip = vae.decode(alone).sample, vae.decode(alone.repeat(1, 1, 3, 1, 1)).sample
    assert clip.shape[2] == 9
    torch.testing.assert_close(clip, frame.expand_as(clip), rtol=0, atol=1e-4)
    assert frame.std() > 0.01
    plain = load.small_vae(16).eval()
    moving = plain.decode(alone.repeat(1, 1, 3, 1, 1)).sample
    assert (moving[:, :, 1:] - moving[:, :, :1]).abs().max() > 0.01  # what inflating mends


def test_a_still_clip_has_still_latents(codec, noise_frames):
    still = codec._signal(noise_frames[:1])[None].repeat(1, 1, 17, 1, 1)
    latents = codec.vae.encode(still).latent_dist.mode()
    torch.testing.assert_close(latents[:, :, 2:], latents[:, :, 1:2].expand_as(latents[:, :, 2:]), rtol=0, atol=1e-4)


def test_a_fresh_vaes_posterior_is_narrow(codec, noise_frames):
    posterior = codec.vae.encode(codec._signal(noise_frames[:5])[None]).latent_dist
    assert posterior.std.max() < 0.1


def test_the_sampler_is_unipc_on_shifted_flow_sigmas():
    scheduler = load.sampler()
    scheduler.set_timesteps(50)
    sigma = torch.linspace(1, 0, 51)[:-1]
    shifted = 5 * sigma / (1 + 4 * sigma)
    assert (scheduler.sigmas[:50] - shifted).abs().max() < 0.005
    assert scheduler.sigmas[-1] == 0
