"""Named modes: what each sets, what does not go together, and what a request says it used."""

from pathlib import Path

import pytest

from video4spatial.sample.modes import MODES, Faster, Sampling, choose, modes_in, modes_table, not_trained_for
from video4spatial.schema import InputError

DOCS = Path(__file__).parents[2] / "docs"


def test_sampling_is_exact_unless_asked_otherwise():
    assert modes_in(Sampling().resolve(True, "joint"), steps=50, own_steps=50) == []
    assert choose([]) == Faster()
    assert Faster().sampling() == Sampling()
    exact = Sampling().resolve(True, "joint")
    assert (exact.branches, exact.context_attention, exact.null_context) == ("batched", "joint", "noise")
    assert exact.guides_at(0.0)
    assert exact.guides_at(1.0)


@pytest.mark.parametrize("name", MODES)
def test_every_mode_changes_what_it_says(name):
    mode, faster = MODES[name], choose([name])
    if mode.alters == "steps":
        assert [faster.steps_of(own) for own in (50, 16, 1)] == [20, 6, 1]
        assert modes_in(Sampling(), 20, 50) == ["fewer-steps=20"]
    elif mode.alters == "weights":
        assert faster.weights == mode.value
        assert modes_in(Sampling(), 50, 50, mode.value) == [name]
        assert faster.sampling() == Sampling()
    else:
        assert getattr(faster.sampling(), mode.alters) == mode.value != getattr(Sampling(), mode.alters)
        used = modes_in(faster.sampling(), 50, 50)
        assert choose(used).sampling() == faster.sampling()  # what is told can be asked for again
        assert used[0].partition("=")[0] == name


def test_values_and_combinations():
    asked = ["guidance-interval=0.25:0.9", "block-cache=0.05", "cached-context", "fewer-steps=12", "fp8-matmul"]
    faster = choose([*asked, "no-null-context"])
    expected = Sampling("sequential", (0.25, 0.9), 0.05, "causal", "none")
    assert faster.sampling(Sampling(branches="sequential")) == expected
    assert (faster.steps_of(50), faster.weights) == (12, "fp8-matmul")
    assert [expected.guides_at(sigma) for sigma in (0.2, 0.25, 0.5, 0.9, 0.95)] == [False, True, True, True, False]
    used = modes_in(expected, 12, 50)
    assert set(used) == {*asked, "no-null-context"} - {"fp8-matmul"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["warp"], "'warp' is unknown: use one of fp8-matmul, .* no-null-context"),
        (["block-cache=many"], "write it as block-cache=T"),
        (["block-cache=nan"], "block-cache is nan"),
        (["block-cache=-1"], "block-cache is -1"),
        (["guidance-interval=0.5"], "write it as guidance-interval=LOW:HIGH"),
        (["guidance-interval=0.9:0.5"], "guidance-interval is 0.9:0.5"),
        (["guidance-interval=0:2"], "guidance-interval is 0:2"),
        (["fewer-steps=0"], "write it as fewer-steps=N"),
        (["fewer-steps=2.5"], "write it as fewer-steps=N"),
        (["cached-context=1"], "cached-context takes no value"),
        (["cached-context", "cached-context"], "set the same thing"),
        (["int8-weights", "fp8-matmul"], "fp8-matmul and --faster int8-weights set the same thing"),
    ],
)
def test_what_cannot_be_used_is_refused(asked, told):
    with pytest.raises(InputError, match=told):
        choose(asked)


def test_options_that_set_the_same_thing_are_refused():
    with pytest.raises(InputError, match="fewer-steps and --steps set the same thing"):
        choose(["fewer-steps"], steps=20)
    with pytest.raises(InputError, match="fp8-weights and --weights set the same thing"):
        choose(["fp8-weights"], weights="int8")


@pytest.mark.parametrize(
    ("sampling", "guides", "mode", "told"),
    [
        (Sampling(guidance_interval=(0.5, 1.0)), False, "joint", "guidance is off"),
        (Sampling(null_context="none"), False, "none", "guidance is off"),
        (Sampling(null_context="none"), True, "text", "text guidance keeps the context"),
    ],
)
def test_modes_of_a_null_branch_that_there_is_not(sampling, guides, mode, told):
    with pytest.raises(InputError, match=told):
        sampling.resolve(guides, mode)


def test_a_model_is_sampled_as_it_was_trained():
    trained = Sampling(context_attention="causal", null_context="none")
    own = Sampling(block_cache=0.1).resolve(True, "joint", trained)
    assert (own.context_attention, own.null_context, own.block_cache) == ("causal", "none", 0.1)
    assert Sampling().resolve(True, "text", trained).null_context == "noise"  # the ablations go on working
    assert Sampling().resolve(False, "none", trained).context_attention == "causal"
    asked = Sampling(context_attention="joint", null_context="noise").resolve(True, "joint", trained)
    assert (asked.context_attention, asked.null_context) == ("joint", "noise")
    assert not_trained_for(own, trained) == []
    assert not_trained_for(own, Sampling(context_attention="joint", null_context="noise")) == [
        "cached-context",
        "no-null-context",
    ]
    assert not_trained_for(choose(["cached-context"]).sampling(), Sampling()) == ["cached-context"]


@pytest.mark.parametrize("field", ["branches", "context_attention", "null_context"])
def test_unknown_choices(field):
    with pytest.raises((InputError, TypeError), match="sideways"):  # TypeError: while types are checked
        Sampling(**{field: "sideways"})


def test_the_page_has_the_table():
    assert modes_table() in (DOCS / "full-size.md").read_text(encoding="utf-8")
