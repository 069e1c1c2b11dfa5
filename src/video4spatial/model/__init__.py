"""The model in forward order: latents, context, instruction, rope, transformer, load."""
