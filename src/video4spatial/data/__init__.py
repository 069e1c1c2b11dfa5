"""From scenes to training examples: scenes, annotated videos, windows over their latents, batches."""
