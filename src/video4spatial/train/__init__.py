"""Training: configuration, the step (the loss on one screen), the loop, checkpoints, precomputed latents."""
