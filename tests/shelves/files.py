"""Model files for tests: real keys and shapes, zeros that take no room on the disk."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path

UNET = "model.diffusion_model."
SD15: Mapping[str, tuple[int, ...]] = {
    f"{UNET}input_blocks.0.0.weight": (320, 4, 3, 3),
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (8, 768),
}
_MMDIT: Mapping[str, tuple[int, ...]] = {
    "pos_embed": (1, 192 * 192, 1536),
    "x_embedder.proj.weight": (1536, 16, 2, 2),
    "context_embedder.weight": (1536, 4096),
    "y_embedder.mlp.0.weight": (1536, 2048),
    "final_layer.linear.weight": (64, 1536),
    **{f"joint_blocks.{i}.context_block.attn.qkv.weight": (8, 8) for i in range(24)},
}
SD3: Mapping[str, tuple[int, ...]] = {
    **{f"{UNET}{key}": shape for key, shape in _MMDIT.items()},
    "first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3),
    "text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight": (8, 768),
    "text_encoders.clip_g.transformer.text_model.embeddings.token_embedding.weight": (8, 1280),
}
T5: Mapping[str, tuple[int, ...]] = {"text_encoders.t5xxl.transformer.shared.weight": (8, 4096)}
VAE: Mapping[str, tuple[int, ...]] = {"decoder.conv_in.weight": (512, 4, 3, 3)}
LORA: Mapping[str, tuple[int, ...]] = {"lora_unet_x.lora_down.weight": (4, 4)}
EMBEDDING: Mapping[str, tuple[int, ...]] = {"emb_params": (2, 768)}


def sparse(path: Path, shapes: Mapping[str, tuple[int, ...]], mark: str = "") -> Path:
    """A file with these keys, of zeros; `mark` makes two of them differ."""
    header: dict[str, object] = {"__metadata__": {"mark": mark}}
    end = 0
    for key, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[key] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
