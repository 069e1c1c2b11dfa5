"""Runs on rooms: the small VAE, then the small transformer, each for a CPU and for one GPU with many cores.

    video4spatial train rooms:vae_cpu --out runs/vae --minutes 25
    video4spatial train rooms:transformer_cpu --out runs/transformer --minutes 100 --set vae=runs/vae

A rooms model has Wan2.2's strides, so 96x64 pixels are 3 x 2 tokens a latent frame.
"""

from video4spatial.data.dataset import WindowConfig
from video4spatial.data.rooms import RoomsConfig
from video4spatial.train.config import OptimConfig, StreamConfig, TransformerRun, VaeRun

SMALL = RoomsConfig(width=96, height=64, frames=161, tail_frames=8, fps=16.0, difficulty=0.3)
LARGER = RoomsConfig(width=192, height=128, frames=241, tail_frames=8, fps=16.0, difficulty=0.6, quality=0.8, rays=24)


def vae_cpu() -> VaeRun:
    """The shipped VAE: 6.3M parameters, 96x64, about 25 minutes on 2 cores."""
    return VaeRun(
        steps=100_000,
        minutes=25,
        image_batch=24,
        clip_batch=3,
        clips=(9, 9, 17),
        image_share=0.45,
        optim=OptimConfig(name="muon", lr=2e-3, warmup=40, decay=0.9, final=0.05, ema=0.99),
        stream=StreamConfig(rooms=SMALL, pool=400, workers=2),
    )


def vae_gpu() -> VaeRun:
    """The same VAE on a GPU, at 192x128, rooms rendered by 14 workers meanwhile."""
    return VaeRun(
        steps=20_000,
        batch=64,
        image_batch=128,
        clip_batch=16,
        clips=(9, 17, 17),
        image_share=0.3,
        precision="bf16",
        optim=OptimConfig(name="muon", lr=2e-3, warmup=200, decay=0.7, final=0.02, ema=0.999),
        stream=StreamConfig(rooms=LARGER, pool=256, rooms_per_step=0.05, workers=14),
        validation_rooms=8,
    )


def transformer_cpu() -> TransformerRun:
    """The shipped transformer: 3.5M parameters, both tasks, 12 context and 9 target latents of 96x64 video."""
    return TransformerRun(
        steps=1_000_000,
        minutes=75,
        batch=16,
        width=192,
        layers=6,
        head_dim=32,
        export="fp16",
        window=WindowConfig(target=9, context=(12, 12, 12, 12, 8, 0), other_video=0.3, navigation=0.6),
        optim=OptimConfig(name="muon", lr=2e-3, warmup=40, decay=0.4, final=0.02, ema=0.998),
        stream=StreamConfig(rooms=SMALL, pool=450, workers=2, store="runs/latents"),
        validation_rooms=24,
        validate_every=200,
        checkpoint_every=200,
    )


def transformer_gpu() -> TransformerRun:
    """The small transformer on one GPU, from the shipped one on: 24 context and 13 target latents, more layers' worth.

    14 workers render; the VAE encodes on the GPU; 96x64 like the shipped VAE (train ``vae_gpu`` first for 192x128).
    """
    return TransformerRun(
        steps=200_000,
        minutes=25,
        batch=256,
        start="rooms-small",
        precision="bf16",
        compile=True,
        export="fp16",
        window=WindowConfig(target=9, context=(24, 16, 12, 0), other_video=0.3, navigation=0.6),
        optim=OptimConfig(name="muon", lr=2e-3, warmup=200, decay=0.5, final=0.02, ema=0.9995),
        stream=StreamConfig(rooms=SMALL, pool=1500, rooms_per_step=0.3, workers=14),
        validation_rooms=24,
        validate_every=1000,
        checkpoint_every=1000,
    )


def transformer_gpu_large() -> TransformerRun:
    """A larger small transformer (25M) for 192x128 video, from scratch, after ``vae_gpu``."""
    return TransformerRun(
        steps=200_000,
        minutes=25,
        batch=64,
        width=384,
        layers=10,
        head_dim=64,
        vae="runs/vae_gpu",
        precision="bf16",
        compile=True,
        export="fp16",
        window=WindowConfig(target=13, context=(24, 24, 16, 0), other_video=0.3, navigation=0.6),
        optim=OptimConfig(name="muon", lr=1.5e-3, warmup=300, decay=0.5, final=0.02, ema=0.9995),
        stream=StreamConfig(rooms=LARGER, pool=800, rooms_per_step=0.1, workers=14),
        validation_rooms=24,
        validate_every=1000,
        checkpoint_every=1000,
    )


def tiny_vae() -> VaeRun:
    """Seconds: for tests, and to see that everything works."""
    return VaeRun(
        steps=6,
        width=16,
        image_batch=4,
        clip_batch=1,
        clips=(9,),
        clips_a_room=2,
        log_every=1,
        validate_every=3,
        checkpoint_every=3,
        optim=OptimConfig(name="muon", lr=1e-3, warmup=2),
        stream=StreamConfig(rooms=TINY, pool=2, workers=1),
        validation_rooms=1,
    )


def tiny_transformer() -> TransformerRun:
    """Seconds: for tests, and to see that everything works."""
    return TransformerRun(
        steps=6,
        batch=4,
        width=96,
        layers=2,
        head_dim=32,
        log_every=1,
        validate_every=3,
        checkpoint_every=3,
        window=WindowConfig(target=5, context=(3, 0), navigation=0.5),
        optim=OptimConfig(lr=1e-3, warmup=2),
        stream=StreamConfig(rooms=TINY, pool=2, workers=1),
        validation_rooms=1,
        validation_batches=1,
    )


TINY = RoomsConfig(width=64, height=32, frames=41, tail_frames=8, difficulty=0.1, quality=0.3, rays=2)
