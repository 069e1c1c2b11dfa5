"""Stock Wan weights in every layout: the same modules come out, and what is not whole is refused by name."""

import json
import shutil

import pytest
import torch
import wan_layouts as wan
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import load_file, save_file

from video4spatial.model import hub, official
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.model.weights import LISTED, Weights, fill, open_weights, require_match, some
from video4spatial.sample.from_wan import WanParts
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError

PARTS = ("transformer", "vae", "text_encoder")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """Folders, never written to by tests: they copy."""
    root = tmp_path_factory.mktemp("wan")
    return {
        "diffusers": wan.write_diffusers(root / "diffusers"),
        "sharded": wan.write_official(root / "sharded", shards=3),
        "single": wan.write_official(root / "single", shards=0),
    }


@pytest.fixture
def copy(layouts, tmp_path):
    return lambda name: shutil.copytree(layouts[name], tmp_path / name)


def load(folder, **options):
    return Video4SpatialPipeline.from_wan(folder, **{"torch_dtype": torch.float32, **options})


@pytest.fixture(scope="module")
def stock(layouts):
    return load(layouts["diffusers"])


def states(pipeline):
    return {f"{part}.{key}": t for part in PARTS for key, t in getattr(pipeline, part).state_dict().items()}


@pytest.mark.parametrize("layout", ["sharded", "single"])
def test_every_layout_gives_the_same_pipeline(layouts, stock, layout):
    found, expected = states(load(layouts[layout])), states(stock)
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key


def test_it_is_the_papers_model_with_a_silent_camera(stock):
    config = stock.config
    assert (config.width, config.height, config.frames, config.tail_frames) == (416, 256, 181, 20)
    assert (config.context_latents, config.steps, config.guidance, config.context_gap) == (84, 50, 5.0, 50)
    assert config.fps == 24
    assert stock.scheduler.config.flow_shift == 5.0
    assert type(stock.scheduler).__name__ == "UniPCMultistepScheduler"
    assert not stock.transformer.camera_embedding.weight.any()
    assert stock.vae.config.latents_mean == official.LATENTS_MEAN
    assert not any(p.is_meta for part in PARTS for p in getattr(stock, part).parameters())
    assert not any(b.is_meta for b in stock.transformer.buffers())


@torch.no_grad()
def test_its_velocity_is_the_stock_models(stock, layouts):
    theirs = WanTransformer3DModel.from_pretrained(layouts["diffusers"] / "transformer").eval()
    x, text = torch.randn(1, 48, 3, 2, 4), torch.randn(1, 7, 32)
    t = torch.tensor([700.0])
    assert torch.equal(stock.transformer(x, t, text, return_dict=False)[0], theirs(x, t, text, return_dict=False)[0])


def test_it_samples_and_survives_saving(stock, layouts, tmp_path, noise_frames):
    pipeline = load(layouts["sharded"], width=64, height=32, frames=9, tail_frames=4, context_latents=2, steps=1)
    pipeline.set_progress_bar_config(disable=True)
    result = pipeline(pipeline.encode_context(noise_frames), instruction="the red chair")
    assert result.frames.shape == (9, 32, 64, 3)
    pipeline.save_pretrained(str(tmp_path / "ours"))
    again = Video4SpatialPipeline.from_pretrained(tmp_path / "ours")
    assert again.config.frames == 9
    for key, tensor in states(pipeline).items():
        assert torch.equal(states(again)[key], tensor), key


def test_half_precision_is_as_diffusers_has_it(layouts, tmp_path):
    """The same modules stay in float32 as when diffusers loads them, and a folder saved so is loaded so."""
    pipeline = load(layouts["sharded"], torch_dtype=torch.bfloat16)
    pipeline.save_pretrained(str(tmp_path / "ours"))
    again = Video4SpatialPipeline.from_pretrained(tmp_path / "ours")
    loaded = Video4SpatialTransformer3DModel.from_pretrained(
        layouts["diffusers"] / "transformer", torch_dtype=torch.bfloat16
    )
    for other in (loaded, again.transformer):
        for key, tensor in pipeline.transformer.state_dict().items():
            assert torch.equal(other.state_dict()[key], tensor), key
            assert other.state_dict()[key].dtype == tensor.dtype, key
    assert pipeline.transformer.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16
    assert pipeline.transformer.condition_embedder.time_proj.weight.dtype == torch.float32
    assert (pipeline.vae.dtype, pipeline.text_encoder.dtype) == (torch.float32, torch.bfloat16)
    assert (again.vae.dtype, again.text_encoder.dtype) == (torch.float32, torch.bfloat16)


def test_parts_may_come_from_elsewhere(layouts, stock, tmp_path):
    mixed = load(
        layouts["sharded"],
        transformer=layouts["diffusers"] / "transformer",
        vae=stock.vae,
        text_encoder=layouts["diffusers"] / "text_encoder",
        tokenizer=layouts["diffusers"] / "tokenizer",
    )
    assert mixed.vae is stock.vae
    for key, tensor in states(stock).items():
        assert torch.equal(states(mixed)[key], tensor), key
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(layouts["single"] / "config.json", alone)
    shutil.copy(layouts["single"] / f"{wan.STEM}.safetensors", alone / "wan.safetensors")
    assert load(layouts["diffusers"], transformer=alone / "wan.safetensors").transformer.config.num_layers == 2
    with pytest.raises(InputError, match="WanTransformer3DModel: give a Video4SpatialTransformer3DModel"):
        load(layouts["diffusers"], transformer=WanTransformer3DModel(**wan.transformer_state()[2]))
    with pytest.raises(InputError, match="image_encoder: not a part"):
        WanParts(layouts["diffusers"], image_encoder="x")


def edit(file, change):
    state = load_file(file)
    change(state)
    save_file(state, file, metadata={"format": "pt"})


def drop_rename_reshape(keys):
    """Lose the first key, add one, and misshape the second."""

    def change(state):
        del state[keys[0]]
        state["blocks.0.surprise"] = torch.zeros(2)
        state[keys[1]] = state[keys[1]][:3].clone()

    return change


WRONG = r"1 missing: \S*{0}; 1 unexpected: \S*surprise; 1 of another shape: \S*{1} \(expected \[64\], found \[3\]\)"


def test_wrong_transformers_are_refused_in_each_layout(copy):
    theirs = ["blocks.1.self_attn.q.weight", "blocks.1.self_attn.q.bias"]
    message = WRONG.format("blocks.1.attn1.to_q.weight", "blocks.1.attn1.to_q.bias")
    single = copy("single")
    edit(single / f"{wan.STEM}.safetensors", drop_rename_reshape(theirs))
    with pytest.raises(InputError, match=message):
        load(single)
    stock = copy("diffusers")
    ours = ["blocks.1.attn1.to_q.weight", "blocks.1.attn1.to_q.bias"]
    edit(stock / "transformer" / f"{wan.STEM}.safetensors", drop_rename_reshape(ours))
    with pytest.raises(InputError, match=message):
        load(stock)
    with pytest.raises(InputError, match=message):
        Video4SpatialTransformer3DModel.from_pretrained(stock / "transformer")


def test_wrong_vaes_and_text_encoders_are_refused_in_each_layout(copy):
    folder = copy("single")
    state = wan.vae_state()
    state["surprise"] = state.pop("decoder.upsamples.1.upsamples.2.residual.6.bias")
    torch.save(state, folder / wan.VAE_FILE)
    with pytest.raises(
        InputError, match=r"1 missing: decoder.up_blocks.1.resnets.2.conv2.bias; 1 unexpected: surprise"
    ):
        load(folder)
    torch.save(wan.vae_state(), folder / wan.VAE_FILE)
    text = wan.text_state()
    del text["blocks.1.ffn.fc2.weight"]
    torch.save(text, folder / wan.TEXT_FILE)
    with pytest.raises(InputError, match=r"1 missing: encoder.block.1.layer.1.DenseReluDense.wo.weight\. "):
        load(folder)
    stock = copy("diffusers")
    edit(stock / "vae" / f"{wan.STEM}.safetensors", lambda s: s.pop("decoder.conv_out.bias"))
    with pytest.raises(InputError, match=r"vae .*1 missing: decoder.conv_out.bias"):
        load(stock)
    whole = official.vae_from_official(folder / wan.VAE_FILE)
    edit(stock / "text_encoder" / "model.safetensors", lambda s: s.pop("encoder.final_layer_norm.weight"))
    with pytest.raises(InputError, match=r"text_encoder .*1 missing: encoder.final_layer_norm.weight"):
        load(stock, vae=whole)


def test_wan21s_vae_is_named_as_such(tmp_path):
    state = {"conv2.bias": torch.zeros(16)}
    torch.save(state, tmp_path / "Wan2.1_VAE.pth")
    with pytest.raises(InputError, match=r"16 latent channels; Wan2.2-TI2V's has 48"):
        official.vae_from_official(tmp_path / "Wan2.1_VAE.pth")


@pytest.mark.parametrize("part", PARTS)
def test_our_own_saved_pipelines_are_checked_too(pipeline_folder, tmp_path, part):
    folder = shutil.copytree(pipeline_folder, tmp_path / "ours")
    (file,) = (folder / part).glob("*.safetensors")
    lost = next(key for key in sorted(load_file(file)) if "camera" not in key)
    edit(file, lambda state: state.pop(lost))
    with pytest.raises(InputError, match=f"{part}.*1 missing: {lost}"):
        Video4SpatialPipeline.from_pretrained(folder)


def test_only_the_camera_embedding_may_be_missing(pipeline_folder, tmp_path):
    folder = shutil.copytree(pipeline_folder, tmp_path / "ours")
    edit(folder / "transformer" / f"{wan.STEM}.safetensors", lambda state: state.pop("camera_embedding.weight"))
    pipeline = Video4SpatialPipeline.from_pretrained(folder)
    assert not pipeline.transformer.camera_embedding.weight.any()


def test_truncated_files_are_named(copy, pipeline_folder, tmp_path):
    folder = copy("sharded")
    shard = folder / f"{wan.STEM}-00002-of-00003.safetensors"
    whole = shard.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:100], b"", b"\xff" * 64):
        shard.write_bytes(damaged)
        with pytest.raises(InputError, match=r"00002-of-00003.safetensors cannot be read as safetensors .*truncated"):
            load(folder)
    shard.unlink()
    with pytest.raises(InputError, match=r"index.json lists \S+00002-of-00003.safetensors, not there"):
        load(folder)
    shard.write_bytes(whole)
    pth = folder / wan.VAE_FILE
    content = pth.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no zip"):
        pth.write_bytes(damaged)
        with pytest.raises(InputError, match=r"Wan2.2_VAE.pth cannot be read as a file of plain tensors"):
            load(folder)
    ours = shutil.copytree(pipeline_folder, tmp_path / "ours")
    file = ours / "vae" / f"{wan.STEM}.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"vae/diffusion_pytorch_model.safetensors cannot be read"):
        Video4SpatialPipeline.from_pretrained(ours)


class Payload:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("code ran",))


def test_pickles_with_code_are_refused_unrun(tmp_path, capsys):
    torch.save({"conv2.bias": Payload()}, tmp_path / "Wan2.2_VAE.pth")
    with pytest.raises(InputError, match="holds code"):
        official.vae_from_official(tmp_path / "Wan2.2_VAE.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="does not hold tensors by name"):
        open_weights(tmp_path / "list.pth")
    assert "code ran" not in capsys.readouterr().out


def test_other_folders_and_models_are_refused(copy, layouts, pipeline_folder, tmp_path):
    with pytest.raises(InputError, match=r"neither model_index.json .* nor diffusion_pytorch_model"):
        load(tmp_path)
    with pytest.raises(InputError, match="neither a folder nor a hub id"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match="Video4Spatial pipeline already"):
        load(pipeline_folder)
    folder = copy("diffusers")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"transformer_2": ["diffusers", "X"]}))
    with pytest.raises(InputError, match="two transformers"):
        load(folder)
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxPipeline"}))
    with pytest.raises(InputError, match="a FluxPipeline, not a Wan pipeline"):
        load(folder)
    folder = copy("single")
    config = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"model_type": "i2v"}, "model_type 'i2v' is not supported"),
        ({"num_layers": 3}, r"27 missing: blocks.2.scale_shift_table, .* and 7 more"),
        ({"in_dim": 36}, r"patch_embedding.weight \(expected \[64, 36, 1, 2, 2\], found \[64, 48, 1, 2, 2\]\)"),
    ):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=message):
            load(folder)
    (folder / "config.json").write_text(json.dumps({"dim": 1}))
    with pytest.raises(InputError, match="lacks num_heads, num_layers"):
        load(folder)
    (folder / wan.TEXT_FILE).unlink()
    with pytest.raises(InputError, match=r"enc-bf16.pth is not there: put the text_encoder there"):
        load(folder)
    with pytest.raises(InputError, match="holds no tokenizer"):
        WanParts(layouts["single"], tokenizer=tmp_path).load("tokenizer")


def test_parts_that_do_not_fit_one_another_are_refused(layouts, tiny_pipeline):
    with pytest.raises(InputError, match="text of width 32, the text encoder gives 64"):
        load(layouts["single"], text_encoder=tiny_pipeline.text_encoder)
    vae = AutoencoderKLWan(base_dim=16, z_dim=16, num_res_blocks=1, dim_mult=[1, 1, 1, 1])
    with pytest.raises(InputError, match=r"takes 48 channels and gives 48, the VAE has 16"):
        load(layouts["single"], vae=vae)


def test_offline_hub_ids_say_what_to_do(monkeypatch, tmp_path):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"could not be downloaded .*go online, or download it elsewhere"):
        load("Wan-AI/Wan2.2-TI2V-5B-Diffusers")


def test_a_hub_id_is_downloaded_without_the_parts_that_are_given(layouts, monkeypatch):
    asked = {}

    def download(repo, allow_patterns):
        asked[repo] = allow_patterns
        return str(layouts["sharded"])

    monkeypatch.setattr(hub, "snapshot_download", download)
    parts = WanParts("Wan-AI/Wan2.2-TI2V-5B", text_encoder=layouts["diffusers"] / "text_encoder")
    assert parts.load("vae").config.z_dim == 48
    (patterns,) = asked.values()
    assert "Wan2.2_VAE.pth" in patterns
    assert not any("t5" in pattern and "google" not in pattern for pattern in patterns)


def test_long_lists_of_names_are_cut_with_a_count():
    names = [f"k{i}" for i in range(LISTED + 5)]
    assert some(names).endswith(f"k{LISTED - 1} and 5 more")
    with pytest.raises(InputError, match=rf"{LISTED + 5} missing: .* and 5 more"):
        require_match(dict.fromkeys(names, (1,)), {}, "it")


def test_filling_copies_nothing_it_need_not():
    """One copy: the model's tensors are those that were read."""
    state = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}
    with torch.device("meta"):
        model = torch.nn.Linear(3, 2)
    fill(model, Weights.of_tensors(state, "it"), dtype=torch.float32)
    assert model.weight.data_ptr() == state["weight"].data_ptr()


def test_a_state_of_official_names_is_taken_whole_or_refused():
    state, _, arguments = wan.transformer_state()
    model = official.transformer_from_official(state, arguments)
    assert torch.equal(model.blocks[1].attn1.to_q.weight, state["blocks.1.self_attn.q.weight"])
    with pytest.raises(InputError, match=r"1 unexpected: blocks.0.surprise"):
        official.transformer_from_official(state | {"blocks.0.surprise": torch.zeros(1)}, arguments)
