"""Networks: tensors in, tensors out; they compute and do nothing else."""
