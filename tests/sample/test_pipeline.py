"""The whole pipeline at tiny size: real classes, untrained."""

import json

import numpy as np
import pytest
import torch

import video4spatial
from video4spatial.geometry.boxes import box_tail, iou
from video4spatial.geometry.paths import preset
from video4spatial.geometry.poses import pose_from_waypoint
from video4spatial.model.latents import LatentCodec
from video4spatial.model.load import resolve_model
from video4spatial.sample.denoise import denoise
from video4spatial.sample.guidance import Guidance
from video4spatial.sample.modes import Sampling
from video4spatial.sample.pipeline import Video4SpatialPipeline
from video4spatial.schema import Box, CameraPath, InputError


@pytest.fixture(scope="module")
def scene(tiny_pipeline, tiny_walk):
    return tiny_pipeline.encode_context(tiny_walk.clip)


@pytest.fixture(scope="module")
def ask(tiny_pipeline, scene):
    def call(instruction=None, path=None, **options):
        return tiny_pipeline(scene, instruction, path, **{"steps": 2, **options})

    return call


@pytest.fixture(scope="module")
def turn(ask):
    return ask(path="turn-right")


def test_the_public_name_is_this_class():
    assert video4spatial.Video4SpatialPipeline is Video4SpatialPipeline


def test_a_saved_pipeline_gives_identical_frames(pipeline_folder, tiny_pipeline, tiny_walk, turn):
    loaded = Video4SpatialPipeline.from_pretrained(pipeline_folder)
    loaded.set_progress_bar_config(disable=True)
    assert {k: v for k, v in loaded.config.items() if k[0] != "_"} == {
        k: v for k, v in tiny_pipeline.config.items() if k[0] != "_"
    }
    again = loaded(loaded.encode_context(tiny_walk.clip), path="turn-right", steps=2)
    np.testing.assert_array_equal(again.frames, turn.frames)


def test_unknown_models_are_refused():
    with pytest.raises(InputError, match="neither a shipped model"):
        Video4SpatialPipeline.from_pretrained("nonsense")


def test_one_seed_one_clip_however_often_the_scene_is_asked(ask, turn):
    np.testing.assert_array_equal(ask(path="turn-right").frames, turn.frames)
    assert (ask(path="turn-right", seed=1).frames != turn.frames).any()
    assert turn.frames.shape == (17, 32, 64, 3)
    assert turn.settings["seed"] == 0


def test_the_first_frame_is_pinned(ask, turn, scene, codec):
    expected = codec.decode(scene.first)[0]
    np.testing.assert_array_equal(turn.frames[0], expected)
    np.testing.assert_array_equal(ask("the sofa", seed=7, guidance=5.0).frames[0], expected)


def test_every_condition_changes_the_clip(ask, turn, scene, tiny_pipeline):
    """Path, instruction, context, guidance, RoPE: none of them may get lost on the way."""
    sofa = ask("the red sofa")
    clips = [
        turn,
        ask(path="forward"),
        ask(path="turn-right", context_latents=2),
        ask(path="turn-right", context_latents=0),
        ask(path="turn-right", guidance=1.0),
        ask(path="turn-right", guidance=Guidance(3.0, "text")),
        ask(path="turn-right", vanilla_rope=True),
        ask(path="turn-right", steps=3),
        sofa,
        ask("the blue chair"),
        ask("the red sofa", scene_description="a kitchen with a table"),
    ]
    frames = [clip.frames[1:].tobytes() for clip in clips]
    assert len(set(frames)) == len(frames)


def test_scale_one_equals_no_guidance(ask):
    one = ask(path="turn-right", guidance=1.0)
    none = ask(path="turn-right", guidance=Guidance(9.0, "none"))
    np.testing.assert_array_equal(one.frames, none.frames)


def test_no_context_is_the_first_frame_only(ask, tiny_pipeline, noise_frames, scene):
    """Whatever else the scene holds, with context_latents=0 only its first frame is looked at."""
    other = tiny_pipeline.encode_context(noise_frames, first_frame=scene.first_frame)
    found = tiny_pipeline(other, path="turn-right", steps=2, context_latents=0)
    expected = ask(path="turn-right", context_latents=0)
    np.testing.assert_array_equal(found.frames, expected.frames)
    assert expected.settings["context_index"] == []


def test_a_preset_and_its_poses_are_the_same_path(ask, turn, tiny_pipeline):
    poses = CameraPath(preset("turn-right", 17), tiny_pipeline.intrinsics)
    np.testing.assert_array_equal(ask(path=poses).frames, turn.frames)


def test_paths_are_taken_relative_to_their_first_pose_and_to_the_clips_length(tiny_pipeline):
    away = pose_from_waypoint([3.0, -1.0, 2.0], 0.7, 0.1, 0.0)
    c2w = preset("forward", 33)
    found = tiny_pipeline.resolve_path(CameraPath(away @ c2w, tiny_pipeline.intrinsics), 17)
    np.testing.assert_allclose(found.c2w, c2w[::2], atol=1e-9)
    broken = c2w.copy()
    broken[4, 0, 0] = 2.0
    with pytest.raises(InputError, match="the camera path: pose 4 is not rigid"):
        tiny_pipeline.resolve_path(CameraPath(broken, tiny_pipeline.intrinsics), 17)


def test_settings_are_told(ask, scene):
    result = ask("  the red sofa ", seed=4, guidance=2.0, frames=21, context_latents=3)
    assert result.settings["sentence"].endswith("it focuses on the red sofa in the center of the frame.")
    assert len(result.frames) == 21
    assert {key: result.settings[key] for key in ("seed", "steps", "guidance", "guidance_mode", "context_latents")} == {
        "seed": 4,
        "steps": 2,
        "guidance": 2.0,
        "guidance_mode": "joint",
        "context_latents": 3,
    }
    assert result.settings["context_index"] == [0, 5, 10]
    assert (result.task, result.fps) == ("ground", scene.fps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either an instruction .* or a camera path"),
        ({"instruction": "the sofa", "path": "still"}, "either an instruction"),
        ({"path": "sideways"}, "no camera preset 'sideways'"),
        ({"path": "still", "frames": 16}, "frames is 16, .* use 13 or 17"),
        ({"path": "still", "frames": 0}, "frames is 0"),
        ({"path": "still", "frames": 1}, "frames is 1: too short"),
        ({"instruction": "the sofa", "frames": 9}, "frames is 9: too short for a clip"),
        ({"path": "still", "steps": 0}, "steps is 0"),
        ({"path": "still", "seed": -1}, "seed is -1"),
        ({"path": "still", "guidance": float("nan")}, "guidance is nan"),
        ({"path": "still", "context_latents": -1}, "context-latents is -1"),
        ({"instruction": ""}, "instruction is empty"),
        ({"instruction": "the xylograph"}, "knows none of these words. It knows: .*armchair"),
    ],
)
def test_what_cannot_be_used_is_refused(ask, options, message):
    with pytest.raises(InputError, match=message):
        ask(**options)


def test_sizes_that_do_not_fit_are_refused(tiny_pipeline, tiny_walk):
    for size in ({"width": 48}, {"height": 0}, {"width": 0}):
        with pytest.raises(InputError, match="must divide by 32"):
            tiny_pipeline.encode_context(tiny_walk.clip, **size)
    larger = tiny_pipeline.encode_context(tiny_walk.clip, width=96, height=64)
    assert tiny_pipeline(larger, path="still", steps=1).frames.shape == (17, 64, 96, 3)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_unipc_takes_the_steps_asked_for(ask, steps):
    seen: list[tuple[int, int]] = []

    def on_step(done, total, latents):
        seen.append((done, total))
        assert latents.shape == (1, 48, 5, 2, 4)

    ask(path="still", steps=steps, on_step=on_step)
    assert seen == [(i + 1, steps) for i in range(steps)]


def test_raising_in_the_callback_stops(ask, turn):
    def stop(done, total, latents):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(path="turn-right", on_step=stop)
    np.testing.assert_array_equal(ask(path="turn-right").frames, turn.frames)  # nothing of it stays


def test_an_untrained_model_finds_nothing_and_says_so(ask):
    result = ask("the red sofa")
    assert result.found is None
    assert result.to_dict()["box"] is None


def test_the_box_is_read_from_the_tail(tiny_pipeline):
    grey = np.full((25, 32, 64, 3), 110, np.uint8)
    box = Box(14.0, 8.0, 46.0, 26.0)
    grey[-8:] = box_tail(grey[0], box, 8)
    found = tiny_pipeline._read_answer(grey, " the sofa ")
    assert found is not None
    assert iou(found.box, box) > 0.8  # a pixel off at this size
    assert (found.frame, found.label) == (24, "the sofa")
    assert 0.35 < found.confidence <= 1
    grey[:-8] = grey[-1]  # what was red before the tail is no answer
    assert tiny_pipeline._read_answer(grey, "the sofa") is None


def test_the_velocity_is_integrated_from_noise_to_data(tiny_pipeline):
    """With the true velocity of a known clip, sampling must arrive at that clip."""
    generator = torch.Generator().manual_seed(3)
    wanted, noise = (torch.randn(1, 48, 5, 2, 4, generator=generator) for _ in range(2))
    first = torch.randn(1, 48, 1, 2, 4, generator=generator)
    asked: list[tuple[float, float]] = []

    def true_velocity(latents, timestep, sigma):
        asked.append((float(timestep), sigma))
        assert torch.equal(latents[:, :, :1], first)
        return (latents - wanted) / sigma

    latents = denoise(tiny_pipeline.scheduler, true_velocity, noise, first, steps=8)
    torch.testing.assert_close(latents[:, :, 1:], wanted[:, :, 1:], rtol=0, atol=2e-3)
    assert torch.equal(latents[:, :, :1], first)
    assert len(asked) == 8
    for timestep, sigma in asked:
        assert timestep == pytest.approx(1000 * sigma, abs=1.0)


def test_the_codec_is_the_pipelines_own(tiny_pipeline, tiny_vae):
    assert isinstance(tiny_pipeline.codec, LatentCodec)
    assert tiny_pipeline.codec.vae is tiny_vae
    lens = tiny_pipeline.intrinsics
    assert (lens.width, lens.height) == (64, 32)
    assert np.degrees(2 * np.arctan(32 / lens.fx)) == pytest.approx(72.0)


def test_navigation_may_have_a_guidance_of_its_own(tiny_pipeline):
    own = Video4SpatialPipeline(**tiny_pipeline.components, guidance=4.0, navigation_guidance=1.5)
    assert (own.default_guidance(False), own.default_guidance(True)) == (4.0, 1.5)
    assert tiny_pipeline.default_guidance(True) == tiny_pipeline.default_guidance(False) == 3.0


FAST = Sampling("sequential", (0.5, 1.0), 0.3, "causal", "none")


def test_the_modes_used_are_told(ask, turn):
    assert (turn.settings["modes"], turn.settings["branches"]) == (["fewer-steps=2"], "batched")  # of the model's 3
    exact = ask(path="turn-right", sampling=Sampling(branches="sequential"))
    assert (exact.settings["modes"], exact.settings["branches"]) == (["fewer-steps=2"], "sequential")
    assert ask(path="turn-right", steps=3).settings["modes"] == []
    assert np.abs(exact.frames.astype(int) - turn.frames).max() <= 2
    fast = ask(path="turn-right", sampling=FAST)
    expected = ["fewer-steps=2", "guidance-interval=0.5:1", "block-cache=0.3", "cached-context", "no-null-context"]
    assert fast.settings["modes"] == expected
    assert fast.settings["not_trained_for"] == ["cached-context", "no-null-context"]
    assert (fast.frames != turn.frames).any()
    np.testing.assert_array_equal(ask(path="turn-right").frames, turn.frames)  # nothing of it stays


def test_every_mode_goes_with_the_ablations(ask):
    for options in ({"vanilla_rope": True}, {"context_latents": 0}, {}):
        assert ask(path="turn-right", sampling=FAST, **options).frames.shape == (17, 32, 64, 3)
    text = Sampling("sequential", (0.5, 1.0), 0.3, "causal")
    ask(path="turn-right", sampling=text, guidance=Guidance(3.0, "text"))
    off = Sampling(block_cache=0.3, context_attention="causal")
    ask(path="turn-right", sampling=off, guidance=1.0)
    with pytest.raises(InputError, match="guidance is off"):
        ask(path="turn-right", sampling=FAST, guidance=1.0)
    with pytest.raises(InputError, match="text guidance keeps the context"):
        ask(path="turn-right", sampling=FAST, guidance=Guidance(3.0, "text"))


def test_a_model_trained_for_a_mode_is_sampled_in_it(tiny_pipeline, scene, ask, tmp_path):
    trained = {"context_attention": "causal", "null_context": "none"}
    own = Video4SpatialPipeline(**tiny_pipeline.components, width=64, height=32, steps=2, **trained)
    own.save_pretrained(str(tmp_path))
    loaded = Video4SpatialPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    asked = {"path": "turn-right", "frames": 17, "guidance": 3.0, "context_latents": 4, "steps": 2}
    found = loaded(scene, **asked)
    assert found.settings["modes"] == ["cached-context", "no-null-context"]
    assert found.settings["not_trained_for"] == []
    same = ask(**asked, sampling=Sampling(context_attention="causal", null_context="none"))
    np.testing.assert_array_equal(found.frames, same.frames)
    joint = loaded(scene, **asked, sampling=Sampling(context_attention="joint", null_context="noise"))
    np.testing.assert_array_equal(joint.frames, ask(**asked).frames)
    assert loaded(scene, **{**asked, "guidance": 1.0}).settings["modes"] == ["cached-context"]


def test_pipelines_saved_before_there_were_modes_are_exact():
    old = json.loads((resolve_model("rooms-small") / "model_index.json").read_text())
    assert "context_attention" not in old
    pipeline = Video4SpatialPipeline.from_pretrained("rooms-small")
    assert pipeline.trained_sampling == Sampling(context_attention="joint", null_context="noise")
