"""Training the small VAE: its shortcuts give the results of the long way."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from video4spatial.geometry.boxes import read_red_box
from video4spatial.model.latents import LatentCodec, to_signal
from video4spatial.model.load import small_vae
from video4spatial.train.loop import Trainer
from video4spatial.train.recipes import load_recipe
from video4spatial.train.vae import VaeTask, augment, decode_signal, draw_random_box, psnr, single_frame_convolutions


@pytest.fixture(scope="module")
def plain_vae():
    """Not inflated: every temporal tap is alive."""
    torch.manual_seed(1)
    return small_vae(16).eval().requires_grad_(False)


def test_decoding_without_the_clamp(plain_vae):
    z = torch.randn(2, 48, 3, 2, 4, generator=torch.Generator().manual_seed(0)) * 8
    signal = decode_signal(plain_vae, z)
    assert signal.abs().max() > 1.2
    torch.testing.assert_close(signal.clamp(-1, 1), plain_vae.decode(z).sample, rtol=0, atol=1e-5)


def test_gradients_survive_where_the_clamp_would_kill_them():
    vae = small_vae(16)
    z = (torch.ones(1, 48, 2, 2, 2) * 30).requires_grad_()
    decode_signal(vae, z).sum().backward()
    assert z.grad.abs().min() > 0


def test_single_frames_through_two_dimensional_convolutions(plain_vae, noise_frames):
    signal = to_signal(noise_frames[:1])[None]
    expected = plain_vae.encode(signal).latent_dist.mode()
    restored = decode_signal(plain_vae, expected)
    clip = to_signal(noise_frames[:5])[None]
    of_clip = plain_vae.encode(clip).latent_dist.mode()
    with single_frame_convolutions():
        torch.testing.assert_close(plain_vae.encode(signal).latent_dist.mode(), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(decode_signal(plain_vae, expected), restored, rtol=0, atol=1e-5)
    assert torch.equal(plain_vae.encode(clip).latent_dist.mode(), of_clip)  # all is as it was


def test_the_stock_convolution_comes_back_after_an_error():
    from video4spatial.model.diffusers_internals import WanCausalConv3d

    stock = WanCausalConv3d.forward
    with pytest.raises(KeyError), single_frame_convolutions():
        raise KeyError
    assert WanCausalConv3d.forward is stock


def test_augmented_clips_keep_their_shape_and_pixels(noise_frames):
    kinds = set()
    for seed in range(60):
        found = augment(noise_frames[:5], np.random.default_rng(seed))
        assert found.shape == (5, 32, 64, 3)
        np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(noise_frames[:5], axis=None))
        kinds.add(found.tobytes())
    assert len(kinds) > 10


def test_drawn_boxes_are_red():
    grey = np.full((64, 96, 3), 120, np.uint8)
    drawn = draw_random_box(grey, np.random.default_rng(0))
    assert read_red_box(drawn[None]) is not None
    boxes = [augment(grey[None], np.random.default_rng(seed)) for seed in range(60)]
    red = [frame for frame in boxes if (frame != 120).any()]
    assert 2 < len(red) < 25
    for frame in red:
        assert set(map(tuple, frame[frame[..., 0] != 120].reshape(-1, 3))) == {(255, 0, 0)}


def test_psnr_of_a_known_error():
    a = torch.zeros(2, 3, 1, 4, 4)
    assert psnr(a, a + 0.2) == pytest.approx(10 * math.log10(4 / 0.04), abs=1e-4)


def test_a_tiny_run_learns_exports_its_statistics_and_resumes(tmp_path):
    config = load_recipe("rooms:tiny_vae")
    config = dataclasses.replace(config, steps=4, validate_every=4, checkpoint_every=2, image_share=0.5)
    task = VaeTask(config, show_progress=False)
    try:
        trainer = Trainer(task, config, tmp_path / "run")
        figures = trainer.run()
        rooms = task.pool.at(0)
        losses = [task.loss(step, 0.9)[0].item() for step in (0, 0, 1)]
    finally:
        task.close()
    assert figures["psnr_frames"] > 3
    assert losses[0] == losses[1] != losses[2]
    from diffusers import AutoencoderKLWan

    vae = AutoencoderKLWan.from_pretrained(tmp_path / "run" / "vae", torch_dtype=torch.float32).eval()
    codec = LatentCodec(vae)
    latents = torch.stack([codec.encode(clip) for room in rooms for clip in room]).transpose(0, 1).flatten(1)
    assert latents.mean().abs() < 0.2
    assert 0.7 < latents.std() < 1.3
    assert latents.std(1).min() > 0.3
