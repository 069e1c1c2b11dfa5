"""``video4spatial precompute``: latents and text embeddings of a recipe, made before training."""

from pathlib import Path

from video4spatial.schema import InputError
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.texts import TextStore
from video4spatial.train.config import TransformerRun, override
from video4spatial.train.precompute import precompute
from video4spatial.train.recipes import load_recipe


def precompute_recipe(recipe: str, out: str, settings: list[str]) -> str:
    """Fill the store ``out``; a line that says what is in it now."""
    config = override(load_recipe(recipe), settings)
    if not isinstance(config, TransformerRun):
        raise InputError(f"recipe {recipe} does not train a transformer: only those have latents to encode beforehand")
    videos, sentences = precompute(config, Path(out))
    return (
        f"{out}: {len(LatentStore(out))} videos ({videos} new), {len(TextStore([out]))} sentences ({sentences} new); "
        f"train on it with --set data.roots={out} --set previews=false"
    )
