"""Fits the linear map from a model's latents to colours that `VaeConfig.sketch` holds.

    python benchmarks/sketch_factors.py [MODEL]

Paints a few pictures, pairs every element of their latents with the mean colour of the square that
the decoder makes of it, and prints the least-squares rows and what share of the variance they hold.
"""

import sys

import torch

import sfumato
from sfumato.train.evaluate import PROMPTS

GROUNDS = ("", " on a navy background", " on a yellow background", " on a green background")


def main() -> None:
    engine = sfumato.load(sys.argv[1] if len(sys.argv) > 1 else None)
    rows: list[torch.Tensor] = []
    colours: list[torch.Tensor] = []
    for i, prompt in enumerate(PROMPTS):
        request = sfumato.Request(prompt.split(" on ")[0] + GROUNDS[i % 4], seed=i)
        for step in engine.submit(request):
            if step.index % 5 == 0:
                latent = step.step.x0
                factor = step.model.spec.vae.factor
                picture = torch.nn.functional.avg_pool2d(step.model.decode(latent), factor)
                rows.append(latent[0].float().flatten(1).mT)
                colours.append(picture[0].clamp(-1, 1).flatten(1).mT)
    x, y = torch.cat(rows), torch.cat(colours)
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    found = torch.linalg.lstsq(x, y).solution  # (C + 1, 3)
    left = (y - x @ found).var(0) / y.var(0)
    for row in found.tolist():
        print("    (" + ", ".join(f"{value:.4f}" for value in row) + "),")
    print(f"share of the variance held: {(1 - left.mean()).item():.3f}")


if __name__ == "__main__":
    main()
