"""Commands that join floors which do not know one another: training with previews, evaluation of a pipeline, demo."""
