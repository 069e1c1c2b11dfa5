"""What the models cost, by formula: parameters, operations, bytes. No torch needed."""

from video4spatial.model.cost.training import TrainingEstimate, training_estimate
from video4spatial.model.cost.transformer import SequenceShape, TransformerShape

__all__ = ["SequenceShape", "TrainingEstimate", "TransformerShape", "training_estimate"]
