"""Sampling: encode a scene once, ask it many times."""
