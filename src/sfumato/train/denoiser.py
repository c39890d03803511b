"""Training the denoiser and the reader's adapter: words and a noisy latent in, the picture out.

The loss is that of ``diffusion.process``, the same mathematics with which pictures are sampled.
N pictures in the bank, B batch, Z latent channels, H W latent height and width, L tokens, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.diffusion.process import Process
from sfumato.nn.bert import Adapter
from sfumato.nn.unet import ResBlock, SpatialTransformer, UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig, UNetConfig
from sfumato.train.autoencoder import to_unit
from sfumato.train.captions import Facts, Subject, caption, plain
from sfumato.train.loop import Modules
from sfumato.train.reader import Reader
from sfumato.train.scenes import Example, Scenes

__all__ = ["Bank", "DenoiserConfig", "DenoiserTask", "draw_bank", "encode"]


@dataclass(frozen=True)
class DenoiserConfig:
    """What a step sees.

    ``centre`` and ``spread`` place the noise levels: sigma = sigmoid(centre + spread * normal), the
    logit-normal of Esser et al. 2024. ``drop`` is the share of empty captions, which guidance needs.
    """

    seed: int = 0
    batch: int = 64
    centre: float = 0.0
    spread: float = 1.0
    drop: float = 0.1
    bank: int = 24000
    length: int = 24


@dataclass(frozen=True)
class Bank:
    """Pictures as latents, encoded once, and the facts that captions are made of."""

    latents: Tensor  # (N, Z, H, W) float16
    facts: tuple[Facts, ...]


@torch.no_grad()
def encode(vae: Vae, examples: Sequence[Example], device: torch.device) -> Bank:
    """The bank of some examples, in batches of 32."""
    latents: list[Tensor] = []
    for start in range(0, len(examples), 32):
        part = np.stack([e.picture for e in examples[start : start + 32]])
        picture = to_unit(torch.from_numpy(part)).to(device)
        picture = picture.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            latents.append(vae.encode(picture).to("cpu", torch.float16))
    return Bank(torch.cat(latents).contiguous(), tuple(e.facts for e in examples))


def draw_bank(vae: Vae, scenes: Scenes, size: int, device: torch.device) -> Bank:
    """The first ``size`` scenes as a bank, drawn and encoded a few hundred at a time."""
    parts = [
        encode(vae, [scenes.draw(i) for i in range(start, min(start + 256, size))], device)
        for start in range(0, size, 256)
    ]
    return Bank(torch.cat([p.latents for p in parts]), tuple(f for p in parts for f in p.facts))


class DenoiserTask:
    """The U-Net and the adapter on a bank; validated on ``seen`` and ``held`` cells."""

    def __init__(
        self,
        unet: UNetConfig,
        text: BertConfig,
        config: DenoiserConfig,
        process: Process,
        reader: Reader,
        subjects: Mapping[str, Subject],
        banks: Mapping[str, Bank],
        *,
        compiled: bool = False,
    ) -> None:
        device = reader.device
        self.config, self.process, self.reader, self.device = config, process, reader, device
        self.subjects, self.banks = subjects, banks
        self.unet = UNet(unet).to(device, memory_format=torch.channels_last)
        self.adapter = Adapter(text).to(device)
        _start_as_zero(self.unet)
        self._unet = torch.compile(self.unet) if compiled else self.unet

    @property
    def modules(self) -> Modules:
        return {"unet": self.unet, "adapter": self.adapter}

    def loss(self, step: int) -> Tensor:
        c, bank = self.config, self.banks["train"]
        rng = np.random.default_rng([c.seed, step])
        chosen = rng.integers(len(bank.facts), size=c.batch)
        captions = [caption(bank.facts[i], self.subjects, rng, c.drop) for i in chosen]
        x0 = bank.latents[torch.from_numpy(chosen)]
        return self._error(self._unet, self.adapter, x0, captions, rng)

    def _error(
        self,
        unet: nn.Module,
        adapter: nn.Module,
        latents: Tensor,
        captions: Sequence[str],
        rng: np.random.Generator,
    ) -> Tensor:
        c = self.config
        x0 = latents.to(self.device).float()
        x0 = x0.contiguous(memory_format=torch.channels_last)
        logit = c.centre + c.spread * rng.standard_normal(len(captions), dtype=np.float32)
        sigma = torch.from_numpy(logit).sigmoid().to(self.device)
        noise = torch.from_numpy(rng.standard_normal(x0.shape, dtype=np.float32)).to(self.device)
        noise = noise.contiguous(memory_format=torch.channels_last)
        x = self.process.mix(x0, noise, sigma)
        read = self.reader.read(captions)
        with torch.autocast(self.device.type, torch.bfloat16):
            context, pooled = adapter(read.states, read.mask)
            output = unet(
                self.process.model_input(x, sigma),
                self.process.time(sigma),
                context,
                mask=read.mask[:, None, None],
                added=pooled,
            )
        return (output.float() - self.process.target(x0, noise, sigma)).square().mean()

    @torch.no_grad()
    def validate(self, modules: Modules) -> dict[str, float]:
        """The loss with fixed noise and canonical captions, on seen and on held-out cells."""
        figures: dict[str, float] = {}
        for name, bank in self.banks.items():
            if name == "train":
                continue
            rng = np.random.default_rng([self.config.seed, 0])
            losses: list[float] = []
            for start in range(0, len(bank.facts), self.config.batch):
                facts = bank.facts[start : start + self.config.batch]
                words = [plain(f, self.subjects) for f in facts]
                x0 = bank.latents[start : start + self.config.batch]
                error = self._error(modules["unet"], modules["adapter"], x0, words, rng)
                losses += [error.item()] * len(facts)
            figures[f"{name}_loss"] = float(np.mean(losses))
        return figures


@torch.no_grad()
def _start_as_zero(unet: UNet) -> None:
    """Every residual branch begins as nothing, so that the deep network begins as a shallow one."""
    unet.conv_out.weight.zero_()
    for module in unet.modules():
        if isinstance(module, ResBlock):
            module.conv2.weight.zero_()
        elif isinstance(module, SpatialTransformer):
            module.out.weight.zero_()
