"""Asks a U-Net itself what it predicts, where its file does not say.

Pure noise at the last level of training is all noise to a network that predicts noise, and nothing
but noise to one that predicts the velocity, which there is the picture with its sign turned.
"""

from typing import Literal

import torch

from sfumato.errors import WeightsError
from sfumato.nn.unet import UNet

__all__ = ["predicts"]

SIDE = 32  # of the latent that is asked about
LAST = 999.0  # the last time of training
SURELY, HARDLY = 0.6, 0.3


@torch.no_grad()
def predicts(unet: UNet) -> Literal["eps", "v"]:
    """What the network predicts, by how far its answer to noise follows the noise.

    A second or so for a U-Net of Stable Diffusion's size. Raises WeightsError where the answer is
    neither, or no numbers.
    """
    config, weight = unet.config, unet.conv_in.weight
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(1, config.in_channels, SIDE, SIDE, generator=draw)
    context = torch.zeros(1, 77, config.context)
    added = None if config.added is None else torch.zeros(1, config.added)
    answer = unet(
        noise.to(weight),
        torch.tensor([LAST], device=weight.device),
        context.to(weight),
        added=None if added is None else added.to(weight),
        guidance=None if config.guided is None else torch.ones(1, device=weight.device),
    )
    heard = noise[:, : config.out_channels].flatten()
    said = answer.float().cpu().flatten()
    if not said.isfinite().all():
        raise WeightsError(
            "The file does not say what the model predicts, and asked for it the model gave no "
            "numbers: its values overflowed. Try --precision fp32."
        )
    likeness = float(torch.corrcoef(torch.stack([heard, said]))[0, 1])
    if not (likeness < HARDLY or likeness > SURELY):  # not a number, for an answer of one value
        raise WeightsError(
            "The file does not say whether the model predicts noise (eps) or velocity (v), and its "
            f"answer to noise ({likeness:.2f} like it) tells neither.\n"
            "  Take it as a diffusers folder, whose scheduler/scheduler_config.json says it."
        )
    return "eps" if likeness > SURELY else "v"
