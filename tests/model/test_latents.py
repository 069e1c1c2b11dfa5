"""Frames to normalised latents and back, through a VAE of the real class."""

import numpy as np
import pytest
import torch

from video4spatial.model.latents import LatentCodec, to_frames, to_signal
from video4spatial.schema import InputError


def test_signal_round_trip(noise_frames):
    signal = to_signal(noise_frames)
    assert signal.shape == (3, 21, 32, 64)
    assert (signal.min(), signal.max()) == (-1, 1)
    np.testing.assert_array_equal(to_frames(signal), noise_frames)
    assert to_frames(torch.full((3, 1, 2, 2), 7.0)).max() == 255


def test_normalising_uses_mean_and_standard_deviation(codec):
    """Not 1/std, which some pipelines call latents_std."""
    z = torch.randn(2, 48, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    normalised = codec.normalise(z)
    torch.testing.assert_close(codec.denormalise(normalised), z)
    mean, std = (torch.tensor(codec.vae.config[key]) for key in ("latents_mean", "latents_std"))
    torch.testing.assert_close(normalised[1, 7], (z[1, 7] - mean[7]) / std[7])
    assert codec.channels == 48


def test_encode_is_the_vaes_mode_normalised(codec, noise_frames):
    z = codec.vae.encode(to_signal(noise_frames[:9])[None]).latent_dist.mode()
    latents = codec.encode(noise_frames[:9])
    assert latents.shape == (48, 3, 2, 4)
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents, codec.normalise(z)[0])


@pytest.mark.parametrize("count", [2, 4, 8, 20])
def test_other_counts_than_4k_plus_1_are_refused(codec, noise_frames, count):
    """The VAE itself would silently drop frames."""
    with pytest.raises(InputError, match=f"frames is {count}"):
        codec.encode(noise_frames[:count])


@pytest.mark.parametrize("size", [(16, 64), (32, 48), (40, 64)])
def test_sizes_that_do_not_divide_by_32_are_refused(codec, size):
    frames = np.zeros((5, *size, 3), np.uint8)
    for encode in (codec.encode, codec.encode_images):
        with pytest.raises(InputError, match="divide by 32"):
            encode(frames)


def test_an_image_is_the_first_latent_of_a_clip(codec, noise_frames):
    images = codec.encode_images(noise_frames[:3])
    torch.testing.assert_close(images[:, :1], codec.encode(noise_frames[:9])[:, :1], rtol=0, atol=1e-5)
    torch.testing.assert_close(images[:, 2:], codec.encode(noise_frames[2:3]), rtol=0, atol=1e-5)
    torch.testing.assert_close(codec.encode_images(noise_frames[:3], batch=2), images, rtol=0, atol=1e-5)


def test_latents_of_a_prefix_are_the_prefix_of_the_latents(codec, noise_frames):
    whole = codec.encode(noise_frames)
    for frames in (1, 5, 13):
        torch.testing.assert_close(codec.encode(noise_frames[:frames]), whole[:, : 1 + frames // 4], rtol=0, atol=1e-5)


def test_a_part_encoded_alone_is_not_the_slice_of_the_whole(codec, noise_frames):
    """Why videos are encoded once and latents picked by index: the VAE looks back."""
    whole = codec.encode(noise_frames)
    part = codec.encode(noise_frames[8:])
    assert (part[:, 0] - whole[:, 2]).abs().max() > 0.05  # one frame alone; the whole's stands for four


def test_decoding_gives_the_frames_of_the_latents(codec, noise_frames):
    frames = codec.decode(codec.encode(noise_frames))
    assert frames.shape == noise_frames.shape
    assert frames.dtype == np.uint8
    single = codec.decode(codec.encode(noise_frames)[:, :1])
    np.testing.assert_array_equal(single[0], frames[0])


def test_decoding_undoes_the_normalisation(tiny_vae, codec, noise_frames):
    latents = codec.encode(noise_frames[:5])
    plain = tiny_vae.decode(codec.denormalise(latents[None])).sample[0]
    np.testing.assert_array_equal(codec.decode(latents), to_frames(plain))
    wrong = to_frames(tiny_vae.decode(latents[None]).sample[0])
    assert (wrong != codec.decode(latents)).any()


def test_a_codec_reads_the_statistics_of_its_vae(tiny_vae):
    codec = LatentCodec(tiny_vae)
    assert codec.mean.flatten().tolist() == pytest.approx(tiny_vae.config.latents_mean)
    assert codec.std.flatten().tolist() == pytest.approx(tiny_vae.config.latents_std)
