"""The mathematics between noise and latent: processes, schedules, noise and samplers.

Nothing is imported here, so that `sfumato.diffusion.table` can list names without torch.
"""
