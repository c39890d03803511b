"""What is particular to each family of models: how it reads a prompt and feeds its network."""
