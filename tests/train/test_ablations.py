"""What the paper's ablations change of a training: no pretraining, no box tail, contiguous context, vanilla RoPE."""

import contextlib
import dataclasses
import re

import pytest
import torch

from video4spatial.commands.export import settings_of
from video4spatial.model.load import resolve_part
from video4spatial.model.transformer import Video4SpatialTransformer3DModel
from video4spatial.schema import InputError
from video4spatial.train.config import LoraConfig, TransformerRun, override
from video4spatial.train.start import starting_transformer
from video4spatial.train.transformer import TransformerTask


def test_without_pretraining_only_the_sizes_are_taken(pipeline_folder):
    run = TransformerRun(start=str(pipeline_folder), seed=5)  # the tiny one was drawn with 0
    trained = Video4SpatialTransformer3DModel.from_pretrained(resolve_part(pipeline_folder, "transformer"))
    fresh = starting_transformer(dataclasses.replace(run, pretrained=False), 64)
    assert {k: v for k, v in fresh.config.items() if k[0] != "_"} == {
        k: v for k, v in trained.config.items() if k[0] != "_"
    }
    theirs = dict(trained.named_parameters())
    for name, parameter in fresh.named_parameters():
        assert parameter.shape == theirs[name].shape
        if parameter.ndim > 1:
            assert not torch.equal(parameter, theirs[name]), name
    assert not fresh.proj_out.weight.any()  # it is silent at first
    again = starting_transformer(dataclasses.replace(run, pretrained=False), 64)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), again.parameters(), strict=True))
    with pytest.raises(InputError, match="64"):
        starting_transformer(dataclasses.replace(run, pretrained=False), 32)


def test_without_pretraining_everything_trains():
    with pytest.raises(InputError, match="'start' or 'base'"):
        TransformerRun(pretrained=False)
    for change in ({"train": "attention"}, {"lora": LoraConfig()}):
        with pytest.raises(InputError, match="train=all"):
            TransformerRun(start="rooms-small", pretrained=False, **change)


@pytest.mark.parametrize(("tail", "stop"), [(True, 11), (False, 9)])
def test_without_the_box_tail_targets_end_at_the_object(tiny_run, tail, stop):
    """Videos of 11 latents, the last two of them box tail."""
    run = override(tiny_run, ["window.navigation=0", "window.target=3", f"window.tail={str(tail).lower()}"])
    with contextlib.closing(TransformerTask(run, show_progress=False)) as task, torch.no_grad():
        ids = []
        for step in range(3):
            task.loss(step, 0.0)
            ids += task.ids
    ends = {int(re.search(r":(\d+)]", name).group(1)) for name in ids}
    assert ends == {stop}
    settings = settings_of(run)
    assert (settings["frames"], settings["tail_frames"]) == (9, 8 if tail else 0)
