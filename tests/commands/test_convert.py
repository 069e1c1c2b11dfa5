"""``video4spatial convert``: either layout into a pipeline folder that loads; whole, or not at all."""

import shutil
from types import SimpleNamespace

import pytest
import torch
import wan_layouts as wan
from safetensors.torch import load_file

from video4spatial import cli
from video4spatial.cli.command import load_pipeline, parse_lora
from video4spatial.commands import convert as module
from video4spatial.commands.convert import convert
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import InputError

PARTS = ("transformer", "vae", "text_encoder")


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    root = tmp_path_factory.mktemp("wan")
    return {
        "diffusers": wan.write_diffusers(root / "diffusers"),
        "official": wan.write_official(root / "official"),
    }


def states(pipeline):
    return {f"{part}.{key}": t for part in PARTS for key, t in getattr(pipeline, part).state_dict().items()}


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_converted_folder_is_what_from_wan_gives(layouts, tmp_path, dtype):
    expected = states(Video4SpatialPipeline.from_wan(layouts["official"], torch_dtype=getattr(torch, dtype)))
    for layout, folder in layouts.items():
        arguments = ["convert", str(folder), str(tmp_path / layout), "--dtype", dtype]
        assert cli.main(arguments) == 0
        pipeline = Video4SpatialPipeline.from_pretrained(tmp_path / layout)
        assert pipeline.config.frames == 181
        assert pipeline.scheduler.config.flow_shift == 5.0
        found = states(pipeline)
        assert found.keys() == expected.keys()
        for key, tensor in expected.items():
            assert torch.equal(found[key], tensor), key
            assert found[key].dtype == tensor.dtype, key
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(layouts)  # nothing temporary is left


def test_it_says_what_it_takes_beforehand(layouts, tmp_path, capsys):
    convert(str(layouts["official"]), tmp_path / "out")
    size = sum(p.stat().st_size for p in (tmp_path / "out").rglob("*.safetensors"))
    said = module.WanParts(layouts["official"]).bytes_needed()
    assert said.keys() == set(PARTS)
    assert sum(said.values()) == pytest.approx(size, rel=0.1)
    assert "0.0 GB in bfloat16" in capsys.readouterr().err.replace("\n", "")


def test_parts_from_elsewhere(layouts, tmp_path):
    folder = shutil.copytree(layouts["official"], tmp_path / "src")
    (folder / wan.VAE_FILE).unlink()
    with pytest.raises(InputError, match=r"Wan2.2_VAE.pth is not there"):
        convert(str(folder), tmp_path / "out")
    vae = str(layouts["diffusers"] / "vae")
    assert cli.main(["convert", str(folder), str(tmp_path / "out"), "--vae", vae, "--dtype", "float32"]) == 0
    file = f"vae/{wan.STEM}.safetensors"
    there, here = load_file(layouts["diffusers"] / file), load_file(tmp_path / "out" / file)
    assert all(torch.equal(there[key], here[key]) for key in there)


def test_nothing_is_overwritten_unasked(layouts, tmp_path, capsys):
    source, out = str(layouts["official"]), tmp_path / "out"
    assert cli.main(["convert", source, str(out)]) == 0
    assert cli.main(["convert", source, str(out)]) == 2
    assert "replace it with --force" in capsys.readouterr().err
    assert cli.main(["convert", source, str(out), "--force"]) == 0
    Video4SpatialPipeline.from_pretrained(out)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years")
    for place in (tmp_path / "notes", tmp_path / "notes" / "thesis.txt"):
        with pytest.raises(InputError, match="is no pipeline folder: choose another place"):
            convert(source, place, force=True)
    (tmp_path / "empty").mkdir()
    convert(source, tmp_path / "empty")


def test_a_failure_leaves_nothing_or_what_was_there(layouts, tmp_path):
    folder = shutil.copytree(layouts["official"], tmp_path / "src")
    out = convert(str(folder), tmp_path / "out")
    text = wan.text_state()
    del text["norm.weight"]
    torch.save(text, folder / wan.TEXT_FILE)  # the last part that is written
    with pytest.raises(InputError, match=r"1 missing: encoder.final_layer_norm.weight"):
        convert(str(folder), out, force=True)
    with pytest.raises(InputError, match="1 missing"):
        convert(str(folder), tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "src"]
    Video4SpatialPipeline.from_pretrained(out)


def test_too_small_a_disk_is_said_before(layouts, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"needs 0.0 GB, .* has 0.0 GB free"):
        convert(str(layouts["official"]), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_bad_words_are_refused(layouts, tmp_path, pipeline_folder):
    with pytest.raises(InputError, match="--dtype is 'int3'"):
        convert(str(layouts["official"]), tmp_path / "out", dtype="int3")
    with pytest.raises(InputError, match="Video4Spatial pipeline already"):
        convert(str(pipeline_folder), tmp_path / "out")


def load(folder, lora):
    """The pipeline that ``navigate --lora`` would use."""
    arguments = ["navigate", "walk.mp4", "still", "-o", "out.mp4", "--model", str(folder), "--lora", f"{lora}=1"]
    return load_pipeline(str(folder), cli.build_parser().parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a/b", ("a/b", 1.0)), ("a/b=0.5", ("a/b", 0.5)), ("a=b=-2", ("a=b", -2.0))],
)
def test_lora_options(text, expected):
    assert parse_lora(text) == expected


def test_bad_lora_scales_and_files_are_refused(tmp_path, pipeline_folder):
    with pytest.raises(InputError, match="write FILE_OR_FOLDER=SCALE"):
        parse_lora("a=lot")
    (tmp_path / "a=1").mkdir()
    assert parse_lora(str(tmp_path / "a=1")) == (str(tmp_path / "a=1"), 1.0)
    with pytest.raises(InputError, match="is no file, nor a folder"):
        load(pipeline_folder, tmp_path / "none")


def test_the_command_line_fuses_loras(pipeline_folder, tmp_path):
    pipeline = Video4SpatialPipeline.from_pretrained(pipeline_folder)
    from video4spatial.model.lora import add_lora

    names = add_lora(pipeline.transformer, 2, 2)
    with torch.no_grad():
        for name, parameter in pipeline.transformer.named_parameters():
            if name in names:
                parameter.add_(0.1)
    path = pipeline.save_lora(tmp_path)
    pipeline.fuse_lora()
    pipeline.unload_lora()
    expected = pipeline.transformer.state_dict()
    found = load(pipeline_folder, path).transformer.state_dict()
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key].cpu(), tensor, rtol=0, atol=1e-6)
