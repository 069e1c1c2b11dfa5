"""The web app: a page to ground and navigate, and a 3D editor of camera paths."""
