"""What the parity tests of SD 3 and Flux share: small encoders, a vocabulary, and opening."""

from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import CLIPTextConfig, T5EncoderModel, T5TokenizerFast
from transformers import T5Config as TheirT5Config

from sfumato.opening import Found, load
from sfumato.spec import ClipConfig, ModelSpec, T5Config, VaeConfig
from sfumato.weights.files import open_weights
from sfumato.weights.parts import located, vocabulary
from tests.parity.small import after_each_step

WIDTH, HEIGHT, STEPS = 96, 64, 6
CONTEXT = 40
T5 = T5Config(layers=2, width=CONTEXT, heads=4, head_width=6, hidden=48, vocab=140)
VAE = VaeConfig(
    channels=(16, 16, 32, 32), blocks=1, groups=8, scale=1.5305, shift=0.0609, quant=False
)
PROMPT, NEGATIVE = "a red fox, in the snow", "blurry, grey"
WORDS = ("a", "red", "fox", "in", "the", "snow", "blur", "grey")


def pieces() -> list[tuple[str, float]]:
    """A vocabulary: marks, letters, and a few words with the space before them."""
    marks = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    letters = [(letter, -6.0 - i / 100) for i, letter in enumerate("▁abcdefghijklmnopqrstuvwxyz,.")]
    return [*marks, *letters, *((f"▁{word}", -3.0 - i / 10) for i, word in enumerate(WORDS))]


def t5_tokenizer() -> T5TokenizerFast:
    return T5TokenizerFast(vocab=pieces(), model_max_length=512)


def t5_encoder() -> T5EncoderModel:
    return T5EncoderModel(
        TheirT5Config(
            vocab_size=T5.vocab,
            d_model=T5.width,
            d_kv=T5.head_width,
            d_ff=T5.hidden,
            num_layers=T5.layers,
            num_heads=T5.heads,
            feed_forward_proj="gated-gelu",
        )
    )


def clip_config(config: ClipConfig) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=49408,
        hidden_size=config.width,
        intermediate_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        hidden_act=config.activation,
        projection_dim=config.projection or config.width,
        bos_token_id=49406,
        eos_token_id=49407,
    )


def autoencoder() -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=VAE.channels,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        scaling_factor=VAE.scale,
        shift_factor=VAE.shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
        force_upcast=False,
    )


def saved_and_opened(
    pipe: Any,
    spec: ModelSpec,
    folder: Path,
    dtype: torch.dtype = torch.float32,
) -> Any:
    """Our model, from the folder that a pipeline saved, in a precision, as an engine opens it."""
    pipe.save_pretrained(folder)
    weights = open_weights(folder)
    origins = located(spec, "diffusers", weights)
    found = Found(spec.name, weights, spec, True, origins, vocabulary(spec, origins))
    return load(found, dtype, torch.device("cpu"))


def trajectory(
    pipe: Any, noise: torch.Tensor, steps: int = STEPS, **wish: Any
) -> list[torch.Tensor]:
    """The latents after each step of a pipeline that begins with this noise."""
    return after_each_step(
        pipe,
        PROMPT,
        negative_prompt=NEGATIVE,
        num_inference_steps=steps,
        height=HEIGHT,
        width=WIDTH,
        latents=noise,
        **wish,
    )
