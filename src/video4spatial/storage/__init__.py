"""What is on disk: videos, latents, and the name of everything else."""
