"""Stock rivals through diffusers' own pipelines: random twins of the real classes, loaded as real ones are."""

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoFramepackPipeline,
    HunyuanVideoFramepackTransformer3DModel,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaModel,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from video4spatial.model.load import sampler
from video4spatial.sample.stock import FRAMEPACK, WAN_I2V, StockVideo
from video4spatial.schema import InputError, grounding_sentence

SENTENCE = grounding_sentence("the red sofa")


@pytest.fixture(scope="module")
def wan_folder(tmp_path_factory, tokenizer, text_encoder, tiny_vae):
    """Wan2.2-TI2V-5B in small, as its folder is: a WanPipeline whose timesteps are one a token."""
    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=24,
        in_channels=48,
        out_channels=48,
        text_dim=text_encoder.config.d_model,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
    )
    folder = tmp_path_factory.mktemp("stock") / "wan"
    pipeline = WanPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=tiny_vae,
        scheduler=sampler(),
        transformer=transformer,
        expand_timesteps=True,
    )
    pipeline.save_pretrained(str(folder))
    return folder


def test_wan_goes_on_from_the_first_frame(wan_folder, noise_frames):
    wan = StockVideo(WAN_I2V, wan_folder, dtype=torch.float32, size=(64, 32), frames=9, steps=2)
    frames = wan(noise_frames[0], SENTENCE, seed=3)
    assert frames.shape == (9, 32, 64, 3)
    assert frames.dtype == np.uint8
    assert (wan(noise_frames[0], SENTENCE, seed=3) == frames).all()
    assert (wan(noise_frames[0], SENTENCE, seed=4) != frames).any()
    assert (wan(noise_frames[5], SENTENCE, seed=3) != frames).any()
    assert wan.settings == {"size": "64x32", "frames": 9, "steps": 2, "guidance": 5.0}


def test_the_defaults_are_the_papers():
    """Supplement, 6.3."""
    assert (WAN_I2V.width, WAN_I2V.height, WAN_I2V.frames, WAN_I2V.steps, WAN_I2V.guidance) == (1280, 704, 121, 50, 5.0)
    packed = (FRAMEPACK.width, FRAMEPACK.height, FRAMEPACK.frames, FRAMEPACK.steps, FRAMEPACK.guidance)
    assert packed == (704, 544, 180, 50, 3.0)


def test_what_is_no_such_pipeline_is_refused(wan_folder, pipeline_folder, tmp_path):
    with pytest.raises(InputError, match=r"model_index\.json"):
        StockVideo(WAN_I2V, tmp_path)
    with pytest.raises(InputError, match="Video4SpatialPipeline"):
        StockVideo(WAN_I2V, pipeline_folder)
    with pytest.raises(InputError, match="HunyuanVideoFramepackPipeline"):
        StockVideo(FRAMEPACK, wan_folder)
    with pytest.raises(InputError, match="divide by 32"):
        StockVideo(WAN_I2V, wan_folder, size=(60, 32))
    with pytest.raises(InputError, match="4k"):
        StockVideo(WAN_I2V, wan_folder, frames=10)


@pytest.fixture(scope="module")
def framepack_folder(tmp_path_factory, tokenizer):
    torch.manual_seed(0)
    transformer = HunyuanVideoFramepackTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=2,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        image_condition_type=None,
        has_image_proj=True,
        image_proj_dim=32,
        has_clean_x_embedder=True,
    )
    vae = AutoencoderKLHunyuanVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        act_fn="silu",
        norm_num_groups=4,
        scaling_factor=0.476986,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
        mid_block_add_attention=True,
    )
    words = len(tokenizer)
    llama = LlamaConfig(
        vocab_size=max(words, 1000), hidden_size=16, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4
    )
    clip = CLIPTextConfig(
        vocab_size=max(words, 1000),
        hidden_size=8,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    siglip = SiglipVisionConfig(
        hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=30, patch_size=15
    )
    pipeline = HunyuanVideoFramepackPipeline(
        transformer=transformer,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=LlamaModel(llama),
        text_encoder_2=CLIPTextModel(clip),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        image_encoder=SiglipVisionModel(siglip),
        feature_extractor=SiglipImageProcessor(size={"height": 30, "width": 30}),
    )
    folder = tmp_path_factory.mktemp("stock") / "framepack"
    pipeline.save_pretrained(str(folder))
    return folder


def test_framepack_goes_on_from_the_first_frame(framepack_folder, noise_frames):
    packed = StockVideo(FRAMEPACK, framepack_folder, dtype=torch.float32, size=(32, 32), frames=9, steps=1)
    frames = packed(noise_frames[0], SENTENCE, seed=3)
    assert frames.shape[0] == 9
    assert frames.shape[1:] == (32, 32, 3)
