"""What many tests share: a tiny room, a tiny pipeline made of the real classes, a store to train on.

Sizes are the smallest that every part still works at: 64x32 pixels are 2 x 1 tokens a latent frame.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan
from hypothesis import settings

from video4spatial.data.rooms import RoomsConfig, grounding_video, plain_video, training_videos
from video4spatial.data.scene import AnnotatedVideo
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import (
    inflate_from_images,
    sampler,
    small_text_encoder,
    small_transformer,
    small_vae,
    word_tokenizer,
)
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.prepare.texts import precompute_text
from video4spatial.rooms import NoViewpoint, Room, vocabulary
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import grounding_sentence
from video4spatial.storage.latents import LatentWriter
from video4spatial.train.config import StoreConfig, StreamConfig, TransformerRun, override
from video4spatial.train.recipes import load_recipe
from video4spatial.train.stream import encode_video, fingerprint, keep_video

pytest_plugins = ["browser"]  # the fixtures ``chromium`` and ``page``

settings.register_profile("patient", deadline=None)  # a busy machine must not fail a property test
settings.load_profile("patient")

TINY = RoomsConfig(width=64, height=32, frames=41, tail_frames=8, difficulty=0.1, quality=0.3, rays=2)


@pytest.fixture(scope="session")
def tiny_rooms() -> RoomsConfig:
    return TINY


@pytest.fixture(scope="session")
def tiny_room() -> Room:
    return TINY.room(3)


@pytest.fixture(scope="session")
def tiny_walk(tiny_room: Room) -> AnnotatedVideo:
    """A walk of 41 frames that ends nowhere in particular."""
    return plain_video(tiny_room, TINY)


@pytest.fixture(scope="session")
def tiny_grounding(tiny_room: Room) -> AnnotatedVideo:
    """A walk of 41 frames that ends at an object, with its box tail."""
    for target in tiny_room.targets():
        try:
            return grounding_video(tiny_room, target, TINY, seed=1)
        except NoViewpoint:
            continue
    raise AssertionError("no object of the tiny room can be walked to")


def make_tiny_vae(seed: int = 0) -> AutoencoderKLWan:
    """An untrained VAE of the real class, whose latent statistics are neither 0 nor 1."""
    torch.manual_seed(seed)
    vae = inflate_from_images(small_vae(16)).eval().requires_grad_(False)
    vae.register_to_config(latents_mean=[0.01 * (i - 20) for i in range(48)])
    vae.register_to_config(latents_std=[0.2 + 0.01 * i for i in range(48)])
    return vae


@pytest.fixture(scope="session")
def tiny_vae() -> AutoencoderKLWan:
    return make_tiny_vae()


@pytest.fixture(scope="session")
def codec(tiny_vae: AutoencoderKLWan) -> LatentCodec:
    return LatentCodec(tiny_vae)


def outspoken_transformer(seed: int = 0) -> Video4SpatialTransformer3DModel:
    """A fresh transformer is silent; this one's output depends on everything it is given."""
    torch.manual_seed(seed)
    model = small_transformer(96, layers=2)
    with torch.no_grad():
        model.proj_out.weight.normal_(std=0.1)
        model.camera_embedding.weight.normal_(std=0.3)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_transformer() -> Video4SpatialTransformer3DModel:
    return outspoken_transformer()


@pytest.fixture(scope="session")
def tokenizer():
    template = re.findall("[a-z]+", grounding_sentence("the").lower())
    return word_tokenizer([*vocabulary(), *template])


@pytest.fixture(scope="session")
def text_encoder(tokenizer):
    return small_text_encoder(len(tokenizer))


@pytest.fixture(scope="session")
def tiny_pipeline(tokenizer, text_encoder, tiny_vae, tiny_transformer) -> Video4SpatialPipeline:
    pipeline = Video4SpatialPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=tiny_vae,
        scheduler=sampler(),
        transformer=tiny_transformer,
        width=64,
        height=32,
        fps=16.0,
        frames=17,
        tail_frames=8,
        context_latents=4,
        steps=3,
        guidance=3.0,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def pipeline_folder(tiny_pipeline: Video4SpatialPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_pipeline.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def noise_frames() -> np.ndarray:
    """21 frames 64x32 that share nothing with one another."""
    return np.random.default_rng(0).integers(0, 256, (21, 32, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def latent_store(tmp_path_factory, codec: LatentCodec, tiny_rooms) -> Path:
    """Rooms 0 to 4 of the tiny recipe, through the tiny VAE."""
    root = tmp_path_factory.mktemp("latents")
    with LatentWriter(root / fingerprint(codec, tiny_rooms)) as writer:
        for seed in range(5):
            for video in training_videos(seed, tiny_rooms):
                keep_video(writer, encode_video(video, codec), tiny_rooms.fps)
    return root


@pytest.fixture(scope="session")
def encoded_store(latent_store: Path, tokenizer, text_encoder) -> Path:
    """The same store, with the text embeddings beside the latents."""
    root = next(iter(latent_store.iterdir()))
    precompute_text(root, tokenizer, text_encoder, show_progress=False)
    return root


@pytest.fixture(scope="session")
def stored_run(tiny_run: TransformerRun, encoded_store: Path) -> TransformerRun:
    """The tiny recipe, fed by that store alone."""
    data = StoreConfig(roots=(str(encoded_store),), held_out=0.0)
    return dataclasses.replace(tiny_run, data=data, stream=StreamConfig())


@pytest.fixture(scope="session")
def tiny_run(latent_store: Path, pipeline_folder: Path) -> TransformerRun:
    """The tiny recipe on the store; nothing rendered but a validation room."""
    settings = [f"vae={pipeline_folder}", f"stream.store={latent_store}", "previews=false", "validate_every=1000"]
    config = override(load_recipe("rooms:tiny_transformer"), settings)
    assert isinstance(config, TransformerRun)
    return dataclasses.replace(config, checkpoint_every=1000)
