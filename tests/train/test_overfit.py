"""One example by heart: training, flow, RoPE, conditioning and sampling agree, or this fails."""

import numpy as np
import pytest
import torch

from video4spatial.data.dataset import Batch, ExampleSampler, WindowConfig
from video4spatial.model.load import sampler, small_transformer
from video4spatial.sample.guidance import Guidance
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.sample.session import EncodedScene
from video4spatial.schema import CameraPath
from video4spatial.train.config import OptimConfig, TransformerRun
from video4spatial.train.optim import learning_rate, make_optimisers
from video4spatial.train.step import TextTable, draw, flow_matching_loss
from video4spatial.train.stream import encode_video

STEPS, LEVELS = 240, 8
WIDTH = 256  # a token holds 48 x 2 x 2 = 192 numbers of noise: a narrower model cannot pass them on
RUN = TransformerRun(
    drop=0.0,
    window=WindowConfig(target=3, context=(3,), other_video=0.0, navigation=1.0, random_zero_pose=False),
    optim=OptimConfig(name="muon", lr=3e-3, warmup=10, decay=0.6, final=0.02, weight_decay=0.0),
)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


@pytest.mark.slow
def test_one_example_is_learnt_by_heart_and_sampled(tiny_walk, tokenizer, text_encoder, tiny_vae, codec):
    """The loss falls by 10x, and sampling from pure noise returns the very clip, through the pipeline's own door."""
    old = {key: tiny_vae.config[key] for key in ("latents_mean", "latents_std")}
    z = codec.denormalise(codec.encode(tiny_walk.clip.frames)[None])[0].flatten(1)
    tiny_vae.register_to_config(latents_mean=z.mean(1).tolist(), latents_std=z.std(1).clamp(min=1e-3).tolist())
    try:
        learn_and_sample(tiny_walk, tokenizer, text_encoder, tiny_vae)
    finally:
        tiny_vae.register_to_config(**old)


def learn_and_sample(walk, tokenizer, text_encoder, vae) -> None:
    torch.manual_seed(0)
    pipeline = Video4SpatialPipeline(
        tokenizer, text_encoder, vae, sampler(), small_transformer(WIDTH, layers=2), width=64, height=32, fps=16.0
    )
    pipeline.set_progress_bar_config(disable=True)
    video = encode_video(walk, pipeline.codec)
    one = ExampleSampler([video], RUN.window).batch(0, 1).to("cpu")
    batch = Batch(
        *(
            t.expand(LEVELS, *t.shape[1:]).contiguous()
            for t in (one.context, one.context_index, one.target, one.camera)
        ),
        one.sentences * LEVELS,
    )
    table = TextTable(tokenizer, text_encoder, torch.device("cpu"))
    text = table(batch.sentences)
    optimisers = make_optimisers(pipeline.transformer, RUN.optim)
    losses = []
    pipeline.transformer.train()
    for step in range(STEPS):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(RUN.optim, step, step / STEPS)
            optimiser.zero_grad()
        loss = flow_matching_loss(pipeline.transformer, batch, text, table.null, draw(batch, RUN, step), RUN).mean()
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        losses.append(loss.item())
    pipeline.transformer.eval()
    assert np.mean(losses[-20:]) < np.mean(losses[:3]) / 10

    starts = [s for s in range(9) if torch.equal(video.read("video", [s + 1, s + 2]).float(), one.target[0, :, 1:])]
    start = starts[0]
    index = one.context_index[0]
    path = CameraPath(walk.c2w[4 * start : 4 * start + 9], walk.intrinsics)
    done: dict[str, torch.Tensor] = {}

    class Fixed(EncodedScene):
        """The scene, asked for the context that was trained on."""

        def context(self, count, choice="uniform", seed=0):
            assert count == 3
            return self.latents[:, index], index

    latents = video.read("video", range(video.latents)).float()
    fixed = Fixed(latents, one.target[0, :, :1], walk.clip.frames[4 * start], 16.0)
    result = pipeline(
        fixed,
        path=path,
        frames=9,
        steps=20,
        context_latents=3,
        seed=5,
        guidance=Guidance(1.0),
        on_step=lambda number, steps, latents: done.update(latents=latents),
    )
    error = (done["latents"] - one.target)[:, :, 1:].square().mean().item()
    wanted = pipeline.codec.decode(one.target[0])
    still = np.repeat(wanted[:1], 9, axis=0)
    assert error < 0.1 * one.target[:, :, 1:].var().item()
    assert psnr(result.frames, wanted) > 25
    assert psnr(result.frames, wanted) > psnr(still, wanted) + 3
