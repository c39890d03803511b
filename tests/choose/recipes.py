"""A recipe to change."""

from sfumato.numerics import LIKE
from sfumato.recipe import Recipe
from sfumato.request import Request

RECIPE = Recipe(
    request=Request(
        prompt="a red fox, 3d",
        seed=42,
        steps=20,
        guidance=7,
        sampler="dpmpp_2m",
        schedule="karras",
        width=64,
        height=64,
        embeddings=(),
        model="v1-5.safetensors",
        **LIKE["sfumato"].under("dpmpp_2m"),
    ),
    family="sd",
    title="Stable Diffusion 1.5",
    sha256="6ce0161689b3853acaa03779ec93eafe75a02f4ced659bee03f50797806fa2fa",
    sampler_title="DPM++ 2M",
    schedule_title="Karras",
    device="cpu",
    precision="fp32",
    sfumato="0.1.0",
    torch="2.13.0",
    seconds=1.25,
)
