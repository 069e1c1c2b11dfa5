"""Training from stores: the very examples of training on rooms, whoever reads them and however many share a step."""

import contextlib
import dataclasses
import json

import pytest
import torch

from video4spatial.model.instruction import encode_text
from video4spatial.prepare.texts import precompute_text
from video4spatial.schema import InputError
from video4spatial.storage.latents import LatentStore, LatentWriter
from video4spatial.storage.texts import TextWriter
from video4spatial.train.config import StoreConfig, TransformerRun
from video4spatial.train.loop import Trainer
from video4spatial.train.precompute import precompute
from video4spatial.train.sources import split
from video4spatial.train.transformer import TransformerTask


def losses(config: TransformerRun, steps: int = 4, **share: int) -> list[float]:
    """The losses of the untrained model at the first steps (and micro-batches)."""
    micro = range(config.micro_batches(share.get("replicas", 1)))
    with contextlib.closing(TransformerTask(config, show_progress=False, **share)) as task, torch.no_grad():
        return [task.loss(step, 0.0, m)[0].item() for step in range(steps) for m in micro]


def test_a_store_trains_what_rooms_train(tiny_run, stored_run):
    """Latents, sentences, noise and so the losses are bit for bit those of rooms rendered and encoded on the spot."""
    rooms = dataclasses.replace(tiny_run, stream=dataclasses.replace(tiny_run.stream, pool=5))
    assert losses(stored_run) == losses(rooms)


@pytest.mark.parametrize("change", [{"readers": 1, "ahead": 1}, {"readers": 6, "ahead": 9}, {"preload": True}])
def test_it_does_not_matter_how_the_store_is_read(stored_run, change):
    other = dataclasses.replace(stored_run, data=dataclasses.replace(stored_run.data, **change))
    assert losses(other) == losses(stored_run)


def test_a_step_is_the_same_however_many_share_it(stored_run):
    """Four examples: at once; two by two; on two replicas, one by one."""
    whole = losses(stored_run)
    halves = losses(dataclasses.replace(stored_run, batch=2, global_batch=4))
    quarters = dataclasses.replace(stored_run, batch=1, global_batch=4)
    shares = [losses(quarters, replica=r, replicas=2) for r in range(2)]
    for step in range(4):
        assert sum(halves[2 * step : 2 * step + 2]) / 2 == pytest.approx(whole[step], rel=1e-5)
        mine = [value for share in shares for value in share[2 * step : 2 * step + 2]]
        assert sum(mine) / 4 == pytest.approx(whole[step], rel=1e-5)
        assert len(set(mine)) == 4


def test_accumulated_steps_train_as_whole_ones(stored_run, tmp_path):
    runs = []
    for name, batch in (("whole", 4), ("parts", 1)):
        config = dataclasses.replace(stored_run, batch=batch, global_batch=4, steps=3)
        with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
            Trainer(task, config, tmp_path / name).run()
        runs.append(dict(task.model.named_parameters()))
    for name, weight in runs[0].items():
        torch.testing.assert_close(weight, runs[1][name], atol=2e-4, rtol=1e-3)


def test_the_log_tells_of_both_tasks(stored_run, tmp_path):
    """Of all micro-batches since the last line: one example of one task a step, both in every line."""
    config = dataclasses.replace(stored_run, batch=1, global_batch=1, steps=8, log_every=8, validate_every=100)
    tasks = {"loss_navigation": list[float](), "loss_grounding": list[float]()}
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        loss_of = task.loss

        def heard(step: int, progress: float, micro: int = 0):
            loss, figures = loss_of(step, progress, micro)
            for name, value in figures.items():
                tasks[name].append(value)
            return loss, figures

        task.loss = heard
        Trainer(task, config, tmp_path).run()
    (line,) = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines() if '"loss"' in row]
    assert sum(map(len, tasks.values())) == 8
    for name, values in tasks.items():
        assert line[name] == pytest.approx(sum(values) / len(values))


def test_held_out_environments_are_judged_by_and_never_trained_on(stored_run):
    data = dataclasses.replace(stored_run.data, held_out=0.3)
    train, judging = split(data)
    environments = [{video.environment_id for video in videos} for videos in (train, judging)]
    assert environments[0] | environments[1] == {f"room{n}" for n in range(5)}
    assert environments[1]
    assert not environments[0] & environments[1]
    smaller = dataclasses.replace(data, held_out=1e-9)
    assert {video.environment_id for video in split(smaller)[1]} <= environments[1]
    with contextlib.closing(TransformerTask(dataclasses.replace(stored_run, data=data), show_progress=False)) as task:
        figures = task.validate()
        assert {"loss_0.3", "context_gain_0.9"} <= figures.keys()
        task.loss(0, 0.0)
        assert not any(name.startswith(f"{held}-") for name in task.ids for held in environments[1])
    with contextlib.closing(TransformerTask(stored_run, show_progress=False)) as task:
        assert task.validate() == {}  # nothing is held out


def test_a_store_to_judge_by(stored_run, tmp_path):
    with LatentWriter(tmp_path) as writer:
        writer.add("judge-0", "judge", {"video": torch.zeros(48, 3, 2, 4)}, fps=16, size=(64, 32))
    train, judging = split(dataclasses.replace(stored_run.data, validation=(str(tmp_path),)))
    assert {v.environment_id for v in train} == {f"room{number}" for number in range(5)}
    assert [v.video_id for v in judging] == ["judge-0"]
    with pytest.raises(InputError, match=r"which data.validation"):
        split(dataclasses.replace(stored_run.data, validation=stored_run.data.roots))


def test_all_held_out_is_refused(stored_run):
    with pytest.raises(InputError, match="5 environments, and all are held out"):
        split(dataclasses.replace(stored_run.data, held_out=0.9999))


def test_the_frozen_are_held_in_half_precision_and_stay_as_they_are(stored_run, tmp_path):
    config = dataclasses.replace(
        stored_run,
        start="rooms-small",
        train="attention",
        precision="bf16",
        weights_dtype="bf16",
        checkpointing=True,
        steps=2,
    )
    with contextlib.closing(TransformerTask(config, show_progress=False)) as task:
        before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
        for name, p in task.model.named_parameters():
            kept = "scale_shift_table" in name or ".norm2." in name or "time_" in name
            assert p.dtype == (torch.float32 if p.requires_grad or kept else torch.bfloat16), name
        assert task.model.is_gradient_checkpointing
        assert losses(config, 2) == losses(dataclasses.replace(config, checkpointing=False), 2)
        Trainer(task, config, tmp_path).run()
    for name, p in task.model.named_parameters():
        assert torch.equal(p, before[name]) is not p.requires_grad, name


@pytest.fixture
def small_pool(tiny_run) -> TransformerRun:
    return dataclasses.replace(tiny_run, stream=dataclasses.replace(tiny_run.stream, pool=1, store=None))


def test_precomputing_goes_on_where_it_stopped(small_pool, encoded_store, tmp_path, pipeline_folder, monkeypatch):
    """One room; then three, of which only the new ones are made; what is in the store is what rendering gives."""
    root = tmp_path / "store"
    videos = small_pool.stream.rooms.videos
    assert precompute(small_pool, root, show_progress=False)[0] == videos
    three = dataclasses.replace(small_pool, stream=dataclasses.replace(small_pool.stream, pool=3))
    assert precompute(three, root, show_progress=False)[0] == 2 * videos
    assert precompute(three, root, show_progress=False) == (0, 0)
    made, known = LatentStore(root), LatentStore(encoded_store)
    assert len(made) == 3 * videos
    for row in made:
        assert row.meta == known[row.video_id].meta
        for name in row.tensors:
            assert torch.equal(made.read(row.video_id, name), known.read(row.video_id, name)), name
    slower = dataclasses.replace(three.stream, rooms=dataclasses.replace(three.stream.rooms, fps=8.0))
    other = dataclasses.replace(three, stream=slower)
    with pytest.raises(InputError, match=r"made with another VAE or of other rooms.*choose another folder"):
        precompute(other, root, show_progress=False)
    stored = dataclasses.replace(three, data=StoreConfig(roots=(str(root),)))
    assert precompute(stored, root, show_progress=False) == (0, 0)
    with pytest.raises(InputError, match="is a store that precompute did not make"):
        precompute(three, encoded_store, show_progress=False)


def test_a_store_without_text_is_refused_with_the_remedy(stored_run, encoded_store, tmp_path, tokenizer, text_encoder):
    root = tmp_path / "bare"
    root.mkdir()
    for name in ("index.parquet", "shards"):
        (root / name).symlink_to(encoded_store / name)
    config = dataclasses.replace(stored_run, data=StoreConfig(roots=(str(root),), held_out=0.0))
    with pytest.raises(InputError, match=r"holds no text embeddings: .*precompute RECIPE --out"):
        TransformerTask(config, show_progress=False)
    with TextWriter(root) as writer:
        writer.add("", encode_text(tokenizer, text_encoder, [""])[0])
    with pytest.raises(InputError, match=r"no text embedding of '.*' and of \d+ more in .*precompute RECIPE --out"):
        TransformerTask(config, show_progress=False)
    assert precompute_text(root, tokenizer, text_encoder, show_progress=False) > 1
    assert losses(config, 1) == losses(stored_run, 1)
