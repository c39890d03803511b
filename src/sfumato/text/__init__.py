"""Prompts into numbers: the tokenizers that text encoders read."""
