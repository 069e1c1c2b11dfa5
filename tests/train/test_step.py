"""The training step: what counts in the loss, and what a dropped example is given."""

import dataclasses
import itertools

import pytest
import torch

from video4spatial.data.dataset import Batch
from video4spatial.flow import velocity
from video4spatial.model.context import assemble
from video4spatial.model.load import small_transformer
from video4spatial.train.config import TransformerRun
from video4spatial.train.step import Draw, TextTable, draw, flow_matching_loss, select_trained

RUN = TransformerRun(drop=0.5)


def make_batch(size: int = 3, context: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        torch.randn(size, 48, context, 2, 4, generator=generator),
        torch.arange(size * context).view(size, context),
        torch.randn(size, 48, 4, 2, 4, generator=generator),
        torch.randn(size, 24, 4, 2, 4, generator=generator),
        ["" for _ in range(size)],
    )


@pytest.fixture
def batch() -> Batch:
    return make_batch()


class Recorded:
    """A model that answers what it is told to, and remembers what it was asked (the loss is what is under test)."""

    def __init__(self, answer: torch.Tensor) -> None:
        self.answer = answer

    def __call__(self, latents, timestep, text, **rest):
        self.latents, self.timestep, self.text, self.rest = latents, timestep, text, rest
        return (self.answer,)


def losses(model, batch: Batch, random: Draw, run: TransformerRun = RUN) -> torch.Tensor:
    text = torch.ones(len(batch), 5, 64)
    return flow_matching_loss(model, batch, text, torch.zeros(1, 5, 64), random, run)


def test_the_right_velocity_has_no_loss(batch):
    random = draw(batch, RUN, 0)
    answer = torch.zeros(3, 48, 6, 2, 4)
    answer[:, :, 2:] = velocity(batch.target, random.noise)
    assert losses(Recorded(answer), batch, random).tolist() == [0, 0, 0]


def test_only_noisy_target_latents_count(batch):
    """What the model says about context and the first frame, both clean, changes nothing."""
    random = draw(batch, RUN, 0)
    answer = torch.zeros(3, 48, 6, 2, 4)
    base = losses(Recorded(answer), batch, random)
    assert (base > 0).all()
    for frame in range(6):
        changed = answer.clone()
        changed[1, :, frame] += 7.0
        found = losses(Recorded(changed), batch, random)
        counts = frame >= 3
        assert (found[1] != base[1]) == counts
        assert torch.equal(found[[0, 2]], base[[0, 2]])


def test_the_loss_is_the_mean_square(batch):
    random = draw(batch, RUN, 0)
    expected = velocity(batch.target, random.noise)[:, :, 1:].square().mean(dim=(1, 2, 3, 4))
    torch.testing.assert_close(losses(Recorded(torch.zeros(3, 48, 6, 2, 4)), batch, random), expected)


def test_what_the_model_is_asked(batch):
    random = dataclasses.replace(draw(batch, RUN, 0), dropped=torch.tensor([False, True, False]))
    model = Recorded(torch.zeros(3, 48, 6, 2, 4))
    losses(model, batch, random)
    sigma = random.sigma
    for row, dropped in enumerate([False, True, False]):
        context = random.context_noise[row] if dropped else batch.context[row]
        assert torch.equal(model.latents[row, :, :2], context)
        assert torch.equal(model.latents[row, :, 2], batch.target[row, :, 0])
        noisy = (1 - sigma[row]) * batch.target[row] + sigma[row] * random.noise[row]
        torch.testing.assert_close(model.latents[row, :, 3:], noisy[:, 1:])
        time = (1000 * sigma[row]).item()
        given = [1000.0 if dropped else 0.0] * 2 + [0.0] + [time] * 3
        assert model.timestep[row].tolist() == pytest.approx(given)
        assert model.text[row].any() != dropped
        camera = model.rest["camera"][row]
        assert not camera[:, :2].any()
        assert torch.equal(camera[:, 2:], torch.zeros_like(batch.camera[row]) if dropped else batch.camera[row])
    assert model.rest["frame_index"][1].tolist() == [2, 3, 54, 55, 56, 57]


def test_gap_and_vanilla_reach_the_model(batch):
    for run, expected in (
        (dataclasses.replace(RUN, gap=5), [0, 1, 7, 8, 9, 10]),
        (dataclasses.replace(RUN, vanilla_rope=True), [0, 1, 2, 3, 4, 5]),
    ):
        model = Recorded(torch.zeros(3, 48, 6, 2, 4))
        losses(model, batch, draw(batch, run, 0), run)
        assert model.rest["frame_index"][0].tolist() == expected


def test_without_context():
    batch = make_batch(context=0)
    model = Recorded(torch.zeros(3, 48, 4, 2, 4))
    assert torch.isfinite(losses(model, batch, draw(batch, RUN, 0))).all()
    assert model.rest["frame_index"][2].tolist() == [0, 1, 2, 3]


def gradients_of(losses: torch.Tensor, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Of the mean loss, and the model's gradients cleared for the next."""
    model.zero_grad()
    losses.mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("attention", ["joint", "causal"])
@pytest.mark.parametrize("dropped", [[False, True, False], [True, True, True], [False, False, False]])
def test_without_context_tokens_a_dropped_example_is_its_target_alone(batch, attention, dropped):
    """Loss and gradients of a batch, against each example by itself; those dropped without any context tokens."""
    torch.manual_seed(0)
    model = small_transformer(96, layers=2)
    torch.nn.init.normal_(model.proj_out.weight, std=0.1)
    torch.nn.init.normal_(model.camera_embedding.weight, std=0.3)
    run = dataclasses.replace(RUN, null_context="none", context_attention=attention)
    random = dataclasses.replace(draw(batch, run, 0), dropped=torch.tensor(dropped))
    text, null = torch.randn(3, 5, 64), torch.randn(1, 5, 64)
    together = flow_matching_loss(model, batch, text, null, random, run)
    found = gradients_of(together, model)

    alone = []
    for i, gone in enumerate(dropped):
        noisy = (1 - random.sigma[i]) * batch.target[i] + random.sigma[i] * random.noise[i]
        target = torch.cat([batch.target[i, :, :1], noisy[:, 1:]], dim=1)[None]
        s = assemble(
            batch.context[i : i + 1],
            batch.context_index[i : i + 1],
            target,
            1000 * random.sigma[i : i + 1],
            torch.zeros_like(batch.camera[i : i + 1]) if gone else batch.camera[i : i + 1],
        )
        s = s.target_alone() if gone else s
        mask = torch.ones(s.latents.shape[2] * 2, s.latents.shape[2] * 2, dtype=torch.bool)
        if attention == "causal":
            mask[: s.context_frames * 2, s.context_frames * 2 :] = False
        out = model(
            s.latents,
            s.timestep,
            null if gone else text[i : i + 1],
            frame_index=s.frame_index,
            camera=s.camera,
            attention_mask=mask,
            return_dict=False,
        )[0]
        error = s.target(out) - velocity(batch.target[i : i + 1], random.noise[i : i + 1])
        alone.append(error[:, :, 1:].square().mean())
    expected = torch.stack(alone)
    torch.testing.assert_close(together.detach(), expected.detach(), rtol=1e-5, atol=1e-5)
    wanted = gradients_of(expected, model)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        scale = max(gradient.abs().max().item(), 1e-3)
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=3e-5 * scale, msg=name)


def test_options_of_the_context_change_the_loss(batch):
    torch.manual_seed(0)
    model = small_transformer(96, layers=2)
    torch.nn.init.normal_(model.proj_out.weight, std=0.1)
    random = dataclasses.replace(draw(batch, RUN, 0), dropped=torch.tensor([False, True, False]))
    runs = [
        dataclasses.replace(RUN, context_attention=attention, null_context=null)
        for attention in ("joint", "causal")
        for null in ("noise", "none")
    ]
    joint, joint_none, causal, causal_none = (losses(model, batch, random, run).detach() for run in runs)
    for noise, none in ((joint, joint_none), (causal, causal_none)):
        torch.testing.assert_close(noise[[0, 2]], none[[0, 2]])  # those kept are as they were
        assert (noise[1] - none[1]).abs() > 1e-5
    assert ((joint - causal).abs() > 1e-5).all()
    torch.testing.assert_close(joint_none[1], causal_none[1])  # without context there is nothing to attend to


def test_draws_belong_to_seed_and_step(batch):
    def same(a: Draw, b: Draw) -> bool:
        return all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(Draw))

    other_seed = dataclasses.replace(RUN, seed=1)
    draws = [draw(batch, RUN, 4), draw(batch, RUN, 5), draw(batch, other_seed, 4)]
    assert same(draws[0], draw(batch, RUN, 4))
    assert not any(same(a, b) for a, b in itertools.combinations(draws, 2))
    fixed = draw(batch, RUN, 4, sigma=0.3)
    assert fixed.sigma.tolist() == pytest.approx([0.3] * 3)
    assert not fixed.dropped.any()


def test_draws_are_the_same_however_a_steps_batch_is_shared():
    whole = make_batch(size=8)
    together = draw(whole, RUN, 4)
    halves = [draw(make_batch(size=2), RUN, 4, part=part, parts=4) for part in range(4)]
    for field in dataclasses.fields(Draw):
        shared = torch.cat([getattr(half, field.name) for half in halves])
        assert torch.equal(shared, getattr(together, field.name)), field.name
    levels = together.sigma / (RUN.shift - (RUN.shift - 1) * together.sigma)  # before the shift: one in each eighth
    assert sorted((levels * 8).floor().int().tolist()) == list(range(8))


def test_drops_follow_their_chance():
    batch = make_batch(size=64, context=1)
    count = sum(int(draw(batch, dataclasses.replace(RUN, drop=0.1), step).dropped.sum()) for step in range(30))
    assert 0.06 < count / (64 * 30) < 0.14
    assert not draw(batch, dataclasses.replace(RUN, drop=0.0), 0).dropped.any()


def test_sentences_are_encoded_once(tokenizer, text_encoder):
    asked: list[int] = []

    def counting(ids, mask):
        asked.append(len(ids))
        return text_encoder(ids, mask)

    counting.device = text_encoder.device
    table = TextTable(tokenizer, counting, torch.device("cpu"), limit=3)
    first = table(["red sofa", "", "red sofa", "blue chair"])
    assert first.shape == (4, 48, 64)
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[1:2], table.null)
    assert asked == [1, 2]
    assert torch.equal(table(["blue chair", "red sofa"]), first[[3, 0]])
    assert asked == [1, 2]
    table(["table", "lamp"])
    torch.testing.assert_close(table(["red sofa", "window"])[0], first[0])  # forgotten, and learnt again
    assert torch.equal(table([""])[0], first[1])


def test_attention_alone_trains_attention_and_the_camera():
    model = small_transformer(96, layers=2)
    count = select_trained(model, "attention")
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "camera_embedding.weight" in trained
    assert trained - {"camera_embedding.weight"} == {
        f"blocks.{block}.attn{kind}.{part}"
        for block in range(2)
        for kind in (1, 2)
        for part in [
            *(f"{p}.{w}" for p in ("to_q", "to_k", "to_v", "to_out.0") for w in ("weight", "bias")),
            "norm_q.weight",
            "norm_k.weight",
        ]
    }
    assert count == sum(p.numel() for name, p in model.named_parameters() if name in trained)
    assert select_trained(model, "all") == sum(p.numel() for p in model.parameters())
