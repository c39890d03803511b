"""What is particular to each family of models: how a prompt is read, and what the network is fed."""
