"""LoRA on the transformer: attached, saved, read in each naming, fused and taken out again."""

import copy
import json

import pytest
import torch
from conftest import outspoken_transformer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from video4spatial.model import lora
from video4spatial.model.diffusers_internals import LORA_METADATA_KEY
from video4spatial.model.lora import add_lora, fuse_lora, load_lora, save_lora, unfuse_lora, unload_lora
from video4spatial.model.lora_files import LORA_FILE
from video4spatial.schema import InputError

CLOSE = {"rtol": 0, "atol": 2e-5}


@pytest.fixture
def model():
    return outspoken_transformer()


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(3)
    latents, text = torch.randn(1, 48, 3, 2, 4, generator=generator), torch.randn(1, 5, 64, generator=generator)
    return latents, torch.tensor([400.0]), text, torch.randn(1, 24, 3, 2, 4, generator=generator)


@torch.no_grad()
def velocity(model, inputs):
    latents, timestep, text, camera = inputs
    return model(latents, timestep, text, camera=camera, return_dict=False)[0]


def trained(model, rank=4, alpha=6.0, targets="attention"):
    """As if it had been trained: neither half of any pair is zero, and the camera embedding has moved."""
    names = add_lora(model, rank, alpha, targets)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in names:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return names


def test_what_trains_is_the_lora_and_the_camera_embedding(model, inputs):
    before = velocity(model, inputs)
    names = add_lora(model, 4, 8)
    assert torch.equal(velocity(model, inputs), before)  # silent at first
    assert set(names) == {n for n, p in model.named_parameters() if p.requires_grad}
    assert len(names) == 2 * 8 * 2 + 1  # two blocks, eight projections each, A and B; the camera embedding
    assert "camera_embedding.weight" in names
    assert all("attn" in name for name in names if name != "camera_embedding.weight")
    assert sum(p.numel() for n, p in model.named_parameters() if "lora_" in n) == 2 * 8 * 2 * 4 * 96
    more = add_lora(outspoken_transformer(), 4, 8, "attention+ffn")
    assert len(more) == 2 * 10 * 2 + 1


def test_a_round_trip_is_exact(model, inputs, tmp_path):
    trained(model)
    expected = velocity(model, inputs)
    path = save_lora(model, tmp_path)
    assert path.name == "pytorch_lora_weights.safetensors"
    for place in (tmp_path, path):
        other = outspoken_transformer()
        load_lora(other, place)
        assert torch.equal(velocity(other, inputs), expected)
        assert torch.equal(other.camera_embedding.weight, model.camera_embedding.weight)
    name = load_lora(outspoken_transformer(), path, adapter="mine")
    assert name == "mine"
    again = outspoken_transformer()
    save_lora_again = save_lora(again, tmp_path / "again", load_lora(again, path))
    first, second = load_file(path), load_file(save_lora_again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    with safe_open(path, "pt") as one, safe_open(save_lora_again, "pt") as two:
        assert one.metadata() == two.metadata()


def test_fusing_changes_nothing_and_unfusing_brings_the_weights_back(model, inputs, tmp_path):
    trained(model)
    weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    attached = velocity(model, inputs)
    fuse_lora(model)
    torch.testing.assert_close(velocity(model, inputs), attached, **CLOSE)
    assert not torch.equal(
        model.state_dict()["blocks.0.attn1.to_q.base_layer.weight"], weights["blocks.0.attn1.to_q.base_layer.weight"]
    )
    unfuse_lora(model)
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, weights[key], rtol=0, atol=1e-6)
    torch.testing.assert_close(velocity(model, inputs), attached, **CLOSE)


def test_fused_and_unloaded_is_a_plain_model(model, inputs, tmp_path):
    trained(model)
    attached = velocity(model, inputs)
    fuse_lora(model)
    unload_lora(model)
    assert model.state_dict().keys() == outspoken_transformer().state_dict().keys()
    torch.testing.assert_close(velocity(model, inputs), attached, **CLOSE)
    model.save_pretrained(str(tmp_path))
    again = type(model).from_pretrained(tmp_path)
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    torch.testing.assert_close(velocity(again.eval(), inputs), velocity(model, inputs), **CLOSE)


def test_unloading_restores_the_model_exactly(model, inputs, tmp_path):
    before = velocity(model, inputs)
    other = outspoken_transformer()
    trained(other)
    path = save_lora(other, tmp_path)
    load_lora(model, path)
    assert not torch.equal(velocity(model, inputs), before)
    unload_lora(model)
    assert torch.equal(velocity(model, inputs), before)
    load_lora(model, path)  # and can be loaded again


def test_the_scale_runs_from_nothing_to_all(inputs, tmp_path):
    other = outspoken_transformer()
    trained(other)
    path = save_lora(other, tmp_path)
    plain, full = velocity(outspoken_transformer(), inputs), velocity(other, inputs)
    none, half = outspoken_transformer(), outspoken_transformer()
    load_lora(none, path, scale=0.0)
    torch.testing.assert_close(velocity(none, inputs), plain, **CLOSE)
    load_lora(half, path, scale=0.5)
    by_hand = outspoken_transformer().state_dict()
    tensors = {key.removeprefix("transformer."): t for key, t in load_file(path).items()}
    for key in [key for key in tensors if key.endswith("lora_A.weight")]:
        module = key.removesuffix(".lora_A.weight")
        by_hand[f"{module}.weight"] += 0.5 * (6 / 4) * tensors[f"{module}.lora_B.weight"] @ tensors[key]
    by_hand["camera_embedding.weight"] = (by_hand["camera_embedding.weight"] + tensors["camera_embedding.weight"]) / 2
    expected = outspoken_transformer()
    expected.load_state_dict(by_hand)
    torch.testing.assert_close(velocity(half, inputs), velocity(expected, inputs), **CLOSE)
    assert (velocity(half, inputs) - full).abs().max() > 1e-3


def test_several_loras_add_up(model, inputs, tmp_path):
    kohya = save_in_kohyas_names(tmp_path / "kohya.safetensors")
    other = outspoken_transformer()
    trained(other)
    load_lora(model, save_lora(other, tmp_path))
    first = copy.deepcopy(model)
    load_lora(model, kohya, scale=0.5)
    both = velocity(model, inputs)
    fuse_lora(first)
    unload_lora(first)
    load_lora(first, kohya, scale=0.5)
    torch.testing.assert_close(velocity(first, inputs), both, **CLOSE)
    with pytest.raises(InputError, match="a LoRA with a camera embedding is loaded already"):
        load_lora(model, tmp_path / LORA_FILE)


OFFICIAL = {"attn1.to_q": "self_attn.q", "attn1.to_k": "self_attn.k", "attn1.to_v": "self_attn.v"}
OFFICIAL |= {"attn1.to_out.0": "self_attn.o", "attn2.to_q": "cross_attn.q", "attn2.to_k": "cross_attn.k"}
OFFICIAL |= {"attn2.to_v": "cross_attn.v", "attn2.to_out.0": "cross_attn.o"}
OFFICIAL |= {"ffn.net.0.proj": "ffn.0", "ffn.net.2": "ffn.2"}


def pairs(rank=4):
    """Random halves by diffusers' module names."""
    generator = torch.Generator().manual_seed(5)
    shapes = dict.fromkeys(OFFICIAL, (96, 96)) | {"ffn.net.0.proj": (288, 96), "ffn.net.2": (96, 288)}
    return {
        (block, module): (
            0.2 * torch.randn(rank, shapes[module][1], generator=generator),
            0.2 * torch.randn(shapes[module][0], rank, generator=generator),
        )
        for block in (0, 1)
        for module in OFFICIAL
    }


def save_in_official_names(path, alpha=None, down="lora_A", up="lora_B"):
    state = {}
    for (block, module), (a, b) in pairs().items():
        name = f"diffusion_model.blocks.{block}.{OFFICIAL[module]}"
        state |= {f"{name}.{down}.weight": a, f"{name}.{up}.weight": b}
        if alpha is not None:
            state[f"{name}.alpha"] = torch.tensor(alpha)
    save_file(state, path)
    return path


def save_in_kohyas_names(path, alpha=2.0):
    state = {}
    for (block, module), (a, b) in pairs().items():
        name = f"lora_unet_blocks_{block}_{OFFICIAL[module].replace('.', '_')}"
        state |= {f"{name}.lora_down.weight": a, f"{name}.lora_up.weight": b, f"{name}.alpha": torch.tensor(alpha)}
    save_file(state, path)
    return path


def save_in_diffusers_names(path):
    state = {}
    for (block, module), (a, b) in pairs().items():
        name = f"transformer.blocks.{block}.{module}"
        state |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
    save_file(state, path)
    return path


@pytest.mark.parametrize(
    ("save", "factor"),
    [
        (save_in_diffusers_names, 1.0),
        (save_in_official_names, 1.0),
        (lambda path: save_in_official_names(path, 2.0, "lora_down", "lora_up"), 0.5),
        (save_in_kohyas_names, 0.5),
    ],
    ids=["diffusers", "official", "official with alpha", "kohya"],
)
def test_stock_wan_loras_of_every_naming(save, factor, inputs, tmp_path):
    model, by_hand = outspoken_transformer(), outspoken_transformer()
    camera = model.camera_embedding.weight.clone()
    load_lora(model, save(tmp_path / "stock.safetensors"))
    weights = dict(by_hand.named_parameters())
    with torch.no_grad():
        for (block, module), (a, b) in pairs().items():
            weights[f"blocks.{block}.{module}.weight"] += factor * b @ a
    torch.testing.assert_close(velocity(model, inputs), velocity(by_hand, inputs), **CLOSE)
    assert torch.equal(model.camera_embedding.weight, camera)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("transformer.blocks.0.attn1.to_q.lora_B.weight"), "1 missing: blocks.0.attn1.to_q.lora_B"),
        (lambda s: s.update({"transformer.blocks.9.attn1.to_q.lora_A.weight": torch.zeros(4, 96)}), "1 unexpected: b"),
        (lambda s: s.update({"transformer.blocks.0.norm2.weight": torch.zeros(96)}), "1 unexpected: blocks.0.norm2"),
        (
            lambda s: s.update({"transformer.blocks.0.attn1.to_q.lora_A.weight": torch.zeros(4, 64)}),
            r"blocks.0.attn1.to_q.lora_A.weight \(expected \[4, 96\], found \[4, 64\]\)",
        ),
        (
            lambda s: s.update({"transformer.camera_embedding.weight": torch.zeros(96, 6, 1, 2, 2)}),
            r"camera_embedding.weight \(expected \[96, 24, 1, 2, 2\], found \[96, 6, 1, 2, 2\]\)",
        ),
        (lambda s: s.update({"unet.x.lora_A.weight": torch.zeros(1)}), "1 of 41 names .* unet.x.lora_A.weight"),
    ],
)
def test_wrong_files_are_refused_by_name_and_change_nothing(change, message, model, inputs, tmp_path):
    before = velocity(model, inputs)
    state = load_file(save_in_diffusers_names(tmp_path / "lora.safetensors"))
    change(state)
    save_file(state, tmp_path / "lora.safetensors")
    with pytest.raises(InputError, match=message):
        load_lora(model, tmp_path / "lora.safetensors")
    assert not lora.adapters(model)
    assert torch.equal(velocity(model, inputs), before)


def test_what_a_converter_would_drop_is_refused(model, tmp_path):
    path = save_in_official_names(tmp_path / "lora.safetensors")
    state = load_file(path)
    save_file(state | {"diffusion_model.blocks.0.norm3.diff": torch.zeros(96)}, path)
    load_lora(model, path)
    save_file(state | {"diffusion_model.blocks.0.norm3.diff": torch.ones(96)}, path)
    with pytest.raises(InputError, match=r"changes weights beside its LoRA.*blocks.0.norm3.diff"):
        load_lora(outspoken_transformer(), path)
    save_file({"diffusion_model.blocks.0.self_attn.q.alpha": torch.tensor(1.0)}, path)
    with pytest.raises(InputError, match="not whole"):
        load_lora(outspoken_transformer(), path)


def test_places_without_a_lora_say_so(model, tmp_path):
    with pytest.raises(InputError, match="is no file, nor a folder with"):
        load_lora(model, tmp_path)
    for name in ("a", "b"):
        save_in_diffusers_names(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match=r"several .safetensors files"):
        load_lora(model, tmp_path)
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-7])
    with pytest.raises(InputError, match=r"a.safetensors cannot be read"):
        load_lora(model, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="no LoRA is loaded"):
        fuse_lora(model)
    with pytest.raises(InputError, match="there is no LoRA 'default' to save; the model has none"):
        save_lora(model, tmp_path)


def test_a_broken_header_is_an_error(model, tmp_path):
    path = tmp_path / "lora.safetensors"
    state = load_file(save_in_diffusers_names(path))
    for text in ("{", "[1]"):
        save_file(state, path, metadata={LORA_METADATA_KEY: text})
        with pytest.raises(InputError, match="is not JSON"):
            load_lora(model, path)
    save_file(state, path, metadata={LORA_METADATA_KEY: json.dumps({"transformer.r": 0})})
    with pytest.raises(InputError, match="peft does not take it"):
        load_lora(model, path)


def test_bad_settings_are_refused(model, monkeypatch):
    with pytest.raises(InputError, match="give one of attention, attention"):
        add_lora(model, 4, 4, "everything")
    with pytest.raises(InputError, match="rank is 0"):
        add_lora(model, 0, 4)
    monkeypatch.setattr(lora, "is_peft_available", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'video4spatial\[scale\]'"):
        add_lora(model, 4, 4)


def test_a_pipeline_has_these_verbs_and_will_not_save_a_wrapped_model(pipeline_folder, tmp_path):
    from video4spatial.sample.pipeline import Video4SpatialPipeline

    pipeline = Video4SpatialPipeline.from_pretrained(pipeline_folder)
    path = save_in_official_names(tmp_path / "lora.safetensors")
    name = pipeline.load_lora(path, scale=0.5)
    with pytest.raises(InputError, match="a LoRA is attached"):
        pipeline.save_pretrained(str(tmp_path / "out"))
    pipeline.save_lora(tmp_path / "saved", name)
    pipeline.fuse_lora()
    pipeline.unfuse_lora()
    pipeline.fuse_lora()
    pipeline.unload_lora()
    pipeline.save_pretrained(str(tmp_path / "out"))
    a = Video4SpatialPipeline.from_pretrained(tmp_path / "out").transformer.state_dict()
    assert all(torch.equal(tensor, a[key]) for key, tensor in pipeline.transformer.state_dict().items())
