"""Does a compiled network learn what the plain one learns? Gradients of both, part by part.

torch 2.13 loses the gradient through a nearest-neighbour `F.interpolate` of twice the size when it
compiles for the CPU under bf16 autocast: everything upstream of it gets nothing, and no error
tells. `nn.layers.Upsample` goes round that, and this is the check. Run:

    python benchmarks/compile_gradients.py

Prints the relative error of each part's gradients and ends in status 1 if one is beyond 5 %.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import Upsample
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Decoder
from sfumato.spec import UNetConfig, VaeConfig

LIMIT = 0.05  # bf16 rounds at 0.4 %, and each layer adds to it
VAE = VaeConfig(latent_channels=8, channels=(64, 128), blocks=1, scale=1.0, patch=4, groups=16)
UNET = UNetConfig(
    in_channels=8,
    out_channels=8,
    channels=(32, 64),
    blocks=1,
    depth=(0, 1),
    middle=1,
    heads=None,
    head_width=32,
    context=48,
    linear_projection=True,
    added=48,
    scale_shift=True,
    groups=8,
)


class Interpolated(Upsample):
    """The form of upsampling that is lost, for comparison."""

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        height, width = x.shape[2:]
        return self.conv(F.interpolate(x, size=(2 * height, 2 * width), mode="nearest"))


def draw(*shape: int, seed: int) -> Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def gradients(
    module: nn.Module, run: Callable[..., Tensor], inputs: Iterable[Tensor]
) -> list[Tensor]:
    module.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        out = run(*inputs)
    (out.float() * draw(*out.shape, seed=9)).mean().backward()
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in module.parameters()]


def compare(name: str, module: nn.Module, run: Callable[..., Tensor], *inputs: Tensor) -> float:
    """Prints the relative error of each part of the network; returns the largest."""
    plain = gradients(module, run, inputs)
    compiled = gradients(module, torch.compile(run), inputs)
    off: dict[str, float] = defaultdict(float)
    size: dict[str, float] = defaultdict(float)
    for (full, _), a, b in zip(module.named_parameters(), plain, compiled, strict=True):
        part = ".".join(full.split(".")[:2])
        off[part] += float((a - b).square().sum())
        size[part] += float(a.square().sum())
    print(name)
    errors = {part: (off[part] / max(size[part], 1e-30)) ** 0.5 for part in off}
    for part, error in errors.items():
        print(f"  {part:28} {error:8.2%}{'  LOST' if error > LIMIT else ''}")
    return max(errors.values())


def main() -> int:
    torch.manual_seed(0)
    decoder = Decoder(VAE).to(memory_format=torch.channels_last)
    unet = UNet(UNET).to(memory_format=torch.channels_last)
    x, time = draw(4, 8, 8, 8, seed=1), torch.tensor([50.0, 300.0, 600.0, 900.0])
    context, added = draw(4, 12, 48, seed=2), draw(4, 48, seed=3)

    def denoise(x: Tensor, context: Tensor, added: Tensor) -> Tensor:
        return unet(x, time, context, added=added)

    worst = compare("the autoencoder's decoder", decoder, decoder, x)
    worst = max(worst, compare("the U-Net", unet, denoise, x, context, added))
    foreign = Decoder(VAE)
    foreign.up[0].sample = Interpolated(VAE.channels[-1])
    foreign = foreign.to(memory_format=torch.channels_last)
    lost = compare("the decoder with F.interpolate, for comparison", foreign, foreign, x)
    verdict = "as plain" if worst <= LIMIT else "NOT as plain"
    print(f"Compiled, our networks learn {verdict}; torch {torch.__version__} ", end="")
    print("still loses F.interpolate." if lost > LIMIT else "no longer loses F.interpolate.")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
