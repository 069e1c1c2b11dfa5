"""Streams through the VAE: the whole clip's numbers, in memory that does not grow with the clip."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from live_bytes import LiveBytes

from video4spatial.model.causal import CausalDecoder, CausalEncoder, causal_frames, causal_steps
from video4spatial.model.latents import LatentCodec, to_frames, to_signal
from video4spatial.model.load import small_vae
from video4spatial.schema import InputError


def wan22_vae(base_dim: int = 16, decoder_base_dim: int = 16, num_res_blocks: int = 1) -> AutoencoderKLWan:
    """Wan2.2's VAE, narrow: residual, three down blocks, patches of 2."""
    return AutoencoderKLWan(
        base_dim=base_dim,
        decoder_base_dim=decoder_base_dim,
        z_dim=48,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=num_res_blocks,
        temperal_downsample=[False, True, True],
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        latents_mean=[0.01 * i for i in range(48)],
        latents_std=[0.5 + 0.01 * i for i in range(48)],
    )


@pytest.fixture(scope="module", params=[lambda: small_vae(16), wan22_vae], ids=["small", "wan2.2"])
def vae(request) -> AutoencoderKLWan:
    torch.manual_seed(1)
    return request.param().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """21 frames 96x64: 6 x 4 latent cells. (On 4 x 2, the two 1x1x1 convolutions round otherwise for one frame.)"""
    return np.random.default_rng(5).integers(0, 256, (21, 64, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def whole(vae, clip):
    """The stock VAE's latents of the clip, normalised."""
    with torch.no_grad():
        return LatentCodec(vae).normalise(vae.encode(to_signal(clip)[None]).latent_dist.mode())[0]


def pieces(frames: np.ndarray, length: int) -> list[np.ndarray]:
    return [frames[i : i + length] for i in range(0, len(frames), length)]


@pytest.mark.parametrize("given", ["frames", 1, 5, 21])
def test_an_encoded_stream_is_bit_equal_to_the_whole_clip(vae, whole, clip, given):
    """However the frames arrive."""
    frames = iter(clip) if given == "frames" else iter(pieces(clip, given))
    assert torch.equal(LatentCodec(vae).encode_stream(frames), whole)


def test_a_decoded_stream_is_bit_equal_to_the_whole_clip(vae, whole):
    codec = LatentCodec(vae)
    with torch.no_grad():
        expected = to_frames(vae.decode(codec.denormalise(whole[None])).sample[0])
    chunks = list(codec.decode_stream(whole))
    assert [len(chunk) for chunk in chunks] == [1, 4, 4, 4, 4, 4]
    np.testing.assert_array_equal(np.concatenate(chunks), expected)
    np.testing.assert_array_equal(codec.decode(whole), expected)


def test_the_smallest_size_is_equal_up_to_rounding(vae, noise_frames):
    codec = LatentCodec(vae)
    with torch.no_grad():
        z = vae.encode(to_signal(noise_frames)[None]).latent_dist.mode()
        frames = to_frames(vae.decode(z).sample[0])
    torch.testing.assert_close(codec.encode(noise_frames), codec.normalise(z)[0], rtol=0, atol=1e-5)
    assert np.abs(codec.decode(codec.normalise(z)[0]).astype(int) - frames).max() <= 1


@pytest.mark.parametrize("latents_a_call", [2, 3, 8])
def test_more_latents_a_call_differ_by_rounding_only(vae, whole, clip, latents_a_call):
    """The convolutions then take the same sums in another order."""
    codec = LatentCodec(vae, latents_a_call)
    torch.testing.assert_close(codec.encode(clip), whole, rtol=0, atol=1e-5)
    chunks = list(codec.decode_stream(whole))
    assert [len(chunk) for chunk in chunks][:2] == [1, min(4 * latents_a_call, 20)]
    apart = np.abs(np.concatenate(chunks).astype(int) - LatentCodec(vae).decode(whole).astype(int))
    assert apart.max() <= 1  # a value halfway between two grey levels may fall to either side
    assert (apart > 0).mean() < 1e-3


def test_one_frame(vae, noise_frames):
    codec = LatentCodec(vae)
    latents = codec.encode_stream(iter(noise_frames[:1]))
    with torch.no_grad():
        expected = vae.encode(to_signal(noise_frames[:1])[None]).latent_dist.mode()
    assert torch.equal(latents, codec.normalise(expected)[0])
    (frames,) = codec.decode_stream(latents)
    assert frames.shape == (1, 32, 64, 3)


def test_streams_may_be_interleaved_and_abandoned(vae, noise_frames):
    """Each owns its features; the stock VAE's own caches are not used."""
    codec = LatentCodec(vae)
    latents = codec.encode(noise_frames)
    frames = codec.decode(latents)
    other = codec.encode(noise_frames[::-1][:9])

    abandoned = codec.decode_stream(latents)
    next(abandoned), next(abandoned)

    def broken():
        yield from noise_frames[:9]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        codec.encode_stream(broken())
    encoded_within = []

    def interrupting():
        for number, frame in enumerate(noise_frames):
            if number == 10:
                encoded_within.append(codec.encode(noise_frames[::-1][:9]))
            yield frame

    assert torch.equal(codec.encode_stream(interrupting()), latents)
    assert torch.equal(encoded_within[0], other)
    both = list(zip(codec.decode_stream(latents), codec.decode_stream(other), strict=False))
    np.testing.assert_array_equal(np.concatenate([a for a, _ in both]), frames[:9])
    np.testing.assert_array_equal(np.concatenate([b for _, b in both]), codec.decode(other))
    np.testing.assert_array_equal(np.concatenate(list(abandoned)), frames[5:])


def test_memory_does_not_grow_with_the_video(vae):
    """Beside the latents themselves (kept, then joined), a video four times as long takes not a byte more."""
    codec = LatentCodec(vae)
    encoding, decoding, outputs = [], [], []
    for count in (41, 161):
        video = (np.full((32, 64, 3), i, np.uint8) for i in range(count))
        with LiveBytes() as live:
            latents = codec.encode_stream(video)
        encoding.append(live.peak)
        outputs.append(latents.nbytes)
        with LiveBytes() as live:
            for _ in codec.decode_stream(latents):
                pass
        decoding.append(live.peak)
    assert encoding[1] - encoding[0] <= 2 * (outputs[1] - outputs[0])
    assert decoding[1] == decoding[0]
    with torch.no_grad(), LiveBytes() as live:  # what is avoided, and that the measure sees it
        vae.decode(latents[None])
    assert live.peak > 3 * decoding[1]


def test_the_full_size_vae_at_the_papers_size():
    """Wan2.2's VAE (704.7M), 416x256, float32, on the meta device: docs/full-size.md quotes these figures."""
    with torch.device("meta"):
        vae = wan22_vae(base_dim=160, decoder_base_dim=256, num_res_blocks=2).eval()
    assert sum(p.numel() for p in vae.parameters()) == 704_688_668

    @torch.no_grad()
    def peaks(latents: int, whole: bool) -> tuple[float, float]:
        """GB of encoding the frames of so many latents, and of decoding them."""
        z = torch.empty(1, 48, latents, 16, 26, device="meta")
        video = torch.empty(1, 3, 4 * latents - 3, 256, 416, device="meta")
        with LiveBytes() as encoding:
            if whole:
                vae.encode(video)
            else:
                encoder = CausalEncoder(vae)
                encoder(video[:, :, :1])
                for start in range(1, video.shape[2], 4):
                    encoder(video[:, :, start : start + 4])
        with LiveBytes() as decoding:
            if whole:
                vae.decode(z)
            else:
                decoder = CausalDecoder(vae)
                for step in causal_steps(latents, 1):
                    decoder(z[:, :, step])
        return encoding.peak / 1e9, decoding.peak / 1e9

    assert peaks(3, whole=False) == peaks(12, whole=False) == pytest.approx((0.770, 2.295), abs=0.001)
    short, long = peaks(3, whole=True), peaks(12, whole=True)
    assert all(b > a + 0.04 for a, b in zip(short, long, strict=True))


def test_live_bytes_counts_storages_once():
    with LiveBytes() as live:
        a = torch.zeros(1000)
        b = a.view(10, 100)
        c = b + 1
        assert live.now == 8000
        del c
        b.add_(1)
        assert (live.now, live.peak) == (4000, 8000)
        del a, b
        assert live.now == 0


def test_progress(codec, noise_frames):
    done = []
    codec.encode_stream(iter(noise_frames), done.append)
    assert done == [1, 5, 9, 13, 17, 21]


def test_streams_that_do_not_fit_are_refused(codec, noise_frames):
    for count in (0, 2, 20):
        with pytest.raises(InputError, match=f"frames is {count}, "):
            codec.encode_stream(iter(noise_frames[:count]))
    with pytest.raises(InputError, match="frame 1 is 96x64, but the first one is 64x32"):
        codec.encode_stream(iter([noise_frames[0], np.zeros((64, 96, 3), np.uint8)]))
    with pytest.raises(InputError, match="divide by 32"):
        codec.encode_stream([np.zeros((32, 40, 3), np.uint8)])
    with pytest.raises(InputError, match="latents_a_call is 0"):
        LatentCodec(codec.vae, 0)


def test_frames_are_regrouped(noise_frames):
    chunks = list(causal_frames(pieces(noise_frames, 3), 2))
    assert [len(chunk) for chunk in chunks] == [1, 8, 8, 4]
    np.testing.assert_array_equal(np.concatenate(chunks), noise_frames)
