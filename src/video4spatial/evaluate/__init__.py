"""Evaluation: takes videos, never models, so that baselines, ground truth and rivals come in by the same door."""
