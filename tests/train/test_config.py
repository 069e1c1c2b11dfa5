"""Configurations: complete, typed, strict."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.schema import InputError
from video4spatial.train.config import (
    LoraConfig,
    OptimConfig,
    RunConfig,
    StoreConfig,
    TransformerRun,
    VaeRun,
    from_dict,
    override,
    to_dict,
)
from video4spatial.train.recipes import known_recipes, load_recipe

KEYS = [
    "steps",
    "minutes",
    "data.roots",
    "lora",
    "lora.rank",
    "global_batch",
    "optim.lr",
    "optim.betas",
    "window.context",
    "stream.rooms.width",
    "precision",
    "compile",
]


@pytest.mark.parametrize("name", known_recipes())
def test_every_recipe_survives_its_json(name):
    config = load_recipe(name)
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config
    assert override(config, []) == config


def test_settings_take_their_fields_type():
    settings = ["steps=5.0", "optim.lr=1", "window.context=[3, 0]", "clips=9", "minutes=null", "compile=true"]
    with pytest.raises(InputError, match="clips"):
        override(TransformerRun(), settings)
    config = override(TransformerRun(minutes=3.0), [s for s in settings if "clips" not in s])
    assert (config.steps, config.optim.lr, config.window.context) == (5, 1.0, (3, 0))
    assert (type(config.steps), type(config.optim.lr)) == (int, float)
    assert config.minutes is None
    assert config.compile is True
    assert override(VaeRun(), ["clips=9"]).clips == (9,)
    assert override(TransformerRun(), ["vae=runs/a=b"]).vae == "runs/a=b"
    assert override(TransformerRun(), ["precision=bf16", "precision=fp32"]).precision == "fp32"


def test_causal_context_and_a_split_sequence_do_not_go_together():
    with pytest.raises(InputError, match="'context_attention' must be joint where 'context_parallel'"):
        override(TransformerRun(context_attention="causal"), ["context_parallel=2"])


def test_the_rest_stays_as_it_was():
    base = TransformerRun(optim=OptimConfig(lr=7e-4, warmup=3))
    changed = override(base, ["optim.warmup=9"])
    assert changed == dataclasses.replace(base, optim=OptimConfig(lr=7e-4, warmup=9))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("step=3", "unknown config key 'step': did you mean steps"),
        ("optim.learning=3", r"unknown config key 'optim.learning': known: name, lr"),
        ("optim.l=3", "unknown config key 'optim.l': did you mean optim.lr"),
        ("nonsense.lr=3", "unknown config key 'nonsense'"),
        ("steps.more=3", "unknown config key 'steps'"),
        ("steps", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("steps=many", "config key 'steps' is 'many': a int is needed"),
        ("steps=2.5", "config key 'steps' is 2.5"),
        ("steps=true", "config key 'steps' is True"),
        ("steps=NaN", "config key 'steps' is nan"),
        ("steps=Infinity", "config key 'steps' is inf"),
        ("optim.lr=NaN", "config key 'optim.lr' is nan"),
        ("optim.lr=-Infinity", "config key 'optim.lr' is -inf"),
        ("optim.lr=1" + "0" * 400, "config key 'optim.lr'"),
        ("minutes=NaN", "config key 'minutes' is nan"),
        ("optim.betas=[0.9]", "config key 'optim.betas'.* give a list of 2"),
        ("optim.betas=[0.9, NaN]", "config key 'optim.betas' is nan"),
        ("window.context=[]", "config key 'window.context'"),
        ("precision=fp8", "use one of fp32, bf16"),
        ("compile=1", "config key 'compile' is 1: a bool"),
        ("optim=3", r"config optim. must be an object"),
        ("null_context=zeros", "use one of noise, none"),
        ("context_attention=none", "use one of joint, causal"),
        ("batch=0", "config key 'batch' is 0: give at least 1"),
        ("log_every=0", "config key 'log_every' is 0: give at least 1"),
        ("accumulate=0", "config key 'accumulate' is 0: give at least 1"),
        ("global_batch=0", "config key 'global_batch' is 0: give at least 1"),
        ("context_parallel=0", "config key 'context_parallel' is 0: give at least 1"),
        ("weights_dtype=bf16", "frozen bf16 weights need precision=bf16"),
        ("data.roots=stores/x", "previews are sampled in rooms"),
        ("data.preload=true", r"config key 'data.roots' is missing: give it"),
        ("data.root=x", "unknown config key 'data.root': did you mean data.roots"),
        ("lora.rank=0", "config key 'lora' is rank 0"),
        ("minutes.more=1", "config key 'minutes'"),
    ],
)
def test_mistakes_are_named(setting, message):
    with pytest.raises(InputError, match=message):
        override(TransformerRun(), [setting])


def test_optional_parts_are_made_by_their_keys():
    config = override(TransformerRun(previews=False), ["data.roots=stores/x", "data.readers=3", "lora.rank=8"])
    assert (config.data, config.lora) == (StoreConfig(roots=("stores/x",), readers=3), LoraConfig(rank=8))
    assert override(config, ["lora=null", 'data.roots=["a", "b"]']).data.roots == ("a", "b")
    assert override(config, ["lora=null"]).lora is None


def test_what_excludes_one_another():
    for settings, message in (
        (["accumulate=2", "global_batch=8"], "both set: the second fixes the first"),
        (["start=a", "base=b"], "start from one of them"),
    ):
        with pytest.raises(InputError, match=message):
            override(TransformerRun(), settings)


@pytest.mark.parametrize(("replicas", "expected"), [(1, 160), (8, 20), (32, 5), (160, 1)])
def test_the_global_batch_is_kept_on_any_number_of_processes(replicas, expected):
    assert TransformerRun(batch=1, global_batch=160).micro_batches(replicas) == expected
    assert TransformerRun(batch=1, accumulate=3).micro_batches(replicas) == 3


@pytest.mark.parametrize(("batch", "replicas"), [(1, 7), (3, 8), (1, 320), (161, 1)])
def test_a_global_batch_that_cannot_be_shared_is_refused(batch, replicas):
    with pytest.raises(InputError, match=r"'global_batch' is 160, which \d+ data-parallel processes"):
        TransformerRun(batch=batch, global_batch=160).micro_batches(replicas)


numbers = st.one_of(st.integers(), st.floats(), st.from_regex(r"-?[0-9]{1,5000}", fullmatch=True))
values = st.one_of(st.text(), numbers.map(str), st.lists(numbers).map(str), st.text('[]{}",:0eE+-.N ', max_size=40))


@given(st.one_of(st.text(), st.tuples(st.one_of(st.text(), st.sampled_from(KEYS)), values).map("=".join)))
def test_no_text_does_worse_than_an_input_error(setting):
    try:
        config = override(TransformerRun(), [setting])
    except InputError:
        return
    assert from_dict(TransformerRun, json.loads(json.dumps(to_dict(config), allow_nan=False))) == config


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.one_of(st.text(), st.sampled_from(KEYS)), inner)),
    max_leaves=8,
)


@given(json_values)
def test_no_json_does_worse_than_an_input_error(content):
    for kind in (RunConfig, VaeRun):
        try:
            from_dict(kind, content)
        except InputError:
            continue


def test_deeply_nested_text_is_refused():
    with pytest.raises(InputError):
        override(TransformerRun(), ["steps=" + "[" * 100_000])


def test_recipes_that_are_not_there(tmp_path):
    for name, message in (
        ("nonsense", "write it as file:function"),
        ("rooms:nonsense", "has .*tiny_transformer"),
        ("nowhere:x", "there is no"),
        (f"{tmp_path}/mine.py:run", "there is no"),
        ("", "write it as file:function"),
    ):
        with pytest.raises(InputError, match=message):
            load_recipe(name)


def test_a_recipe_of_ones_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from video4spatial.train.config import VaeRun\n\ndef run():\n    return VaeRun(steps=3)\n\ndef other():\n"
        "    return 5\n\ndef _hidden():\n    return VaeRun()\n\ndef takes(steps):\n    return VaeRun(steps=steps)\n"
    )
    assert load_recipe(f"{file}:run") == VaeRun(steps=3)
    with pytest.raises(InputError, match="returned int"):
        load_recipe(f"{file}:other")
    for hidden in ("_hidden", "takes", "VaeRun"):
        with pytest.raises(InputError, match=r"has other, run"):
            load_recipe(f"{file}:{hidden}")
    file.write_text("import nothing_of_this_name\n")
    with pytest.raises(InputError, match="does not run: ModuleNotFoundError"):
        load_recipe(f"{file}:run")
