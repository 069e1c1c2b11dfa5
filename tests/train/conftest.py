"""A store of latents made once, so that training tests neither render nor start workers; a run on it."""

import dataclasses
from pathlib import Path

import pytest

from video4spatial.data.rooms import training_videos
from video4spatial.model.latents import LatentCodec
from video4spatial.storage.latents import LatentWriter
from video4spatial.train.config import StoreConfig, StreamConfig, TransformerRun, override
from video4spatial.train.precompute import precompute_text
from video4spatial.train.recipes import load_recipe
from video4spatial.train.stream import encode_video, fingerprint, keep_video


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
