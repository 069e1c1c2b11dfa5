"""The paper's grounding run: Wan2.2-TI2V-5B learns to go to a named object and to draw a red box on it.

    video4spatial train grounding:paper --dry-run --gpus 8 --gpu H100
    torchrun --nproc-per-node 8 -m video4spatial.cli train grounding:paper --out runs/grounding

It reads latents and text embeddings made beforehand (``data.roots``) at 416x256. Which values are the paper's and which
ours: docs/choices.md. The variants change what their names say and nothing else.
"""

from dataclasses import replace

from video4spatial.data.dataset import WindowConfig
from video4spatial.train.config import LoraConfig, OptimConfig, SamplingDefaults, StoreConfig, TransformerRun

WAN = "Wan-AI/Wan2.2-TI2V-5B-Diffusers"


def paper() -> TransformerRun:
    """20,000 steps of 160 examples: context of 42 latents and the first frame (169 frames), target of 161 + 20."""
    return TransformerRun(
        steps=20_000,
        batch=1,
        global_batch=160,
        base=WAN,
        train="attention",
        drop=0.1,
        gap=50,
        shift=5.0,
        window=WindowConfig(target=46, context=(42,), mode="scattered", other_video=1.0, navigation=0.0),
        data=StoreConfig(roots=("stores/train",)),
        optim=OptimConfig(name="adamw", lr=1e-4, warmup=200, decay=0.0, ema=0.0),
        precision="bf16",
        weights_dtype="bf16",
        checkpointing=True,
        compile=True,
        log_every=10,
        validate_every=500,
        checkpoint_every=500,
        keep_checkpoints=3,
        validation_batches=8,
        previews=False,
        export="bf16",
        defaults=SamplingDefaults(steps=50, guidance=5.0, navigation_guidance=None, context_latents=84),
    )


def lora() -> TransformerRun:
    """Low-rank additions to the attention layers, and the camera embedding, instead of the layers themselves."""
    return replace(paper(), lora=LoraConfig(rank=64, alpha=64.0))


def long_context() -> TransformerRun:
    """336 context latents (1345 frames), a sequence of 39,728 tokens shared by 8 GPUs."""
    run = paper()
    return replace(run, window=replace(run.window, context=(336,)), context_parallel=8)


def causal_context() -> TransformerRun:
    """Context attends to context only, and the null branch has none: sampling computes it once a clip."""
    return replace(paper(), context_attention="causal", null_context="none")


def tiny() -> TransformerRun:
    """Seconds: the same path on a CPU, with the shipped small model and a store of small rooms.

    video4spatial precompute rooms:tiny_transformer --out stores/tiny
    """
    run = paper()
    return replace(
        run,
        steps=6,
        batch=2,
        global_batch=8,
        base=None,
        start="rooms-small",
        vae="rooms-small",
        window=replace(run.window, target=5, context=(3,)),
        data=StoreConfig(roots=("stores/tiny",), held_out=0.3),
        optim=replace(run.optim, lr=1e-3, warmup=2),
        compile=False,
        log_every=1,
        validate_every=3,
        checkpoint_every=3,
        validation_batches=1,
        defaults=replace(run.defaults, steps=4, context_latents=3),
    )


def curated_tiny() -> TransformerRun:
    """Seconds: the same on a small prepared and curated store, clips of 17 frames and a box tail of 8.

    video4spatial prepare rooms 0:4 stores/curated --size 64x32 --clip 17
    video4spatial curate stores/curated --vlm oracle --clip-frames 17 --tail-frames 8
    """
    run = tiny()
    return replace(
        run,
        window=replace(run.window, target=7, skip_short=True),
        data=StoreConfig(roots=("stores/curated",), held_out=0.3),
    )
