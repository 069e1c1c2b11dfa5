"""Text embeddings on disk: what the encoder gave, each distinct sentence once, padding left out."""

import pytest
import torch

from video4spatial.model.instruction import encode_text
from video4spatial.schema import InputError
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.texts import TextStore, TextWriter

SENTENCES = ["", "the red chair", "the camera moves across a room. finally, it focuses on the sofa", "a/b: é"]


def padded(*rows: list[float], tokens: int = 6) -> torch.Tensor:
    found = torch.zeros(tokens, len(rows[0]))
    found[: len(rows)] = torch.tensor(rows)
    return found


def test_what_is_read_is_what_the_encoder_gave(tmp_path, tokenizer, text_encoder):
    embeddings = encode_text(tokenizer, text_encoder, SENTENCES)
    with TextWriter(tmp_path) as writer:
        for sentence, embedding in zip(SENTENCES, embeddings, strict=True):
            writer.add(sentence, embedding)
    store = TextStore([tmp_path])
    assert (len(store), store.width, store.tokens) == (4, 64, embeddings.shape[1])
    assert torch.equal(store.read_all(SENTENCES), embeddings)
    stored = LatentStore(StoreLayout(tmp_path).texts)
    lengths = {row.meta["sentence"]: row.tensors["text"][0] for row in stored}
    assert lengths[""] < lengths["the red chair"] < lengths[SENTENCES[2]] < store.tokens
    assert stored.verify() == 4


def test_half_precision_is_kept_on_disk(tmp_path):
    value = padded([1.0, 2.0], [3.0, 4.0]).bfloat16()
    with TextWriter(tmp_path) as writer:
        writer.add("", value)
    stored = LatentStore(StoreLayout(tmp_path).texts)
    assert [stored.read(row.video_id, "text").dtype for row in stored] == [torch.bfloat16]
    assert torch.equal(TextStore([tmp_path]).read(""), value.float())


def test_writing_goes_on_and_several_stores_are_one(tmp_path):
    with TextWriter(tmp_path / "a") as writer:
        writer.add("", padded([1.0, 1.0]))
    with TextWriter(tmp_path / "a") as writer:
        assert "" in writer
        assert "x" not in writer
        writer.add("x", padded([2.0, 2.0]))
    with TextWriter(tmp_path / "b") as writer:
        writer.add("", padded([1.0, 1.0]))
        writer.add("y", padded([3.0, 3.0]))
    both = TextStore([tmp_path / "a", tmp_path / "b"])
    assert len(both) == 3
    assert both.read_all(["y", "x"])[:, 0, 0].tolist() == [3, 2]


def test_what_is_missing_is_named_with_its_remedy(tmp_path):
    with pytest.raises(InputError, match=r"holds no text embeddings: add .* `video4spatial precompute RECIPE --out"):
        TextStore([tmp_path])
    with TextWriter(tmp_path) as writer:
        writer.add("", padded([1.0]))
    with pytest.raises(InputError, match=r"no text embedding of 'the sofa' in .*precompute RECIPE --out"):
        TextStore([tmp_path]).read("the sofa")


def test_embeddings_of_two_encoders_are_refused(tmp_path):
    for name, width in (("a", 2), ("b", 3)):
        with TextWriter(tmp_path / name) as writer:
            writer.add("", padded([1.0] * width))
    with pytest.raises(InputError, match="must all come from one text encoder"):
        TextStore([tmp_path / "a", tmp_path / "b"])
