"""Sentences as the transformer takes them."""

import pytest
import torch

from video4spatial.model.instruction import encode_text, require_known_words
from video4spatial.model.load import small_text_encoder, word_tokenizer
from video4spatial.schema import InputError


@pytest.fixture(scope="module")
def words():
    return word_tokenizer(["red", "armchair", "the", "of", "sofa"], max_tokens=12)


@pytest.fixture(scope="module")
def encoder(words):
    return small_text_encoder(len(words))


@pytest.mark.parametrize(
    ("text", "unknown"),
    [("the red armchair", []), ("RED", []), ("sofa!", []), ("the zebra of red stripes", ["zebra", "stripes"])],
)
def test_one_known_word_is_enough_and_the_others_are_told(words, text, unknown):
    assert require_known_words(words, text) == unknown


def test_words_unknown_are_refused_with_those_known(words):
    with pytest.raises(InputError, match="'the zebra': this model knows none of these words") as caught:
        require_known_words(words, "the zebra")
    assert "armchair, of, red, sofa, the" in str(caught.value)
    assert "<unk>" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "   ", "...", "123 _", "\n"])
def test_empty_instructions_are_refused(words, text):
    with pytest.raises(InputError, match="instruction is empty"):
        require_known_words(words, text)
    with pytest.raises(InputError, match="--scene is empty"):
        require_known_words(words, text, "--scene")


def test_the_text_ends_in_zeros(words, encoder):
    """Wan has no cross-attention mask: what lies behind the sentence must be exactly zero."""
    embeddings = encode_text(words, encoder, ["the red armchair", "sofa", ""])
    assert embeddings.shape == (3, 12, 64)
    used = [3, 1, 0]
    for row, count in zip(embeddings, used, strict=True):
        assert (row[:count].abs().sum(-1) > 0).all()
        assert not row[count:].any()


def test_a_sentence_is_coded_alike_alone_and_in_company(words, encoder):
    alone = encode_text(words, encoder, ["sofa"])
    both = encode_text(words, encoder, ["the red armchair of the sofa", "sofa"])
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)


def test_other_words_and_other_orders_are_other_embeddings(words, encoder):
    red, sofa, turned = encode_text(words, encoder, ["red sofa", "sofa sofa", "sofa red"])
    assert (red - sofa).abs().max() > 0.1
    assert (red - turned).abs().max() > 0.1


def test_long_texts_are_cut_at_the_limit(words, encoder):
    assert encode_text(words, encoder, ["red " * 40]).shape == (1, 12, 64)
    assert encode_text(words, encoder, ["red " * 40], max_tokens=5).shape == (1, 5, 64)
