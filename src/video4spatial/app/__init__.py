"""The web app: one model, served to a browser and to scripts; a session of its own for each person."""
