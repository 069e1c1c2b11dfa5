"""Training runs: one file a family, one function a run."""
