"""Training: the data, the objective, the loop and the evaluation of our own small model."""
