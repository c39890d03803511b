"""Pictures at the edges of the program: to and from tensors, files, film strips and animations."""

from sfumato.images.animation import ANIMATIONS, animate, check_animation
from sfumato.images.canonical import layers
from sfumato.images.canvas import Canvas, Masking, lay
from sfumato.images.files import (
    PICTURES,
    Texts,
    check_output,
    encode,
    is_ours,
    lossy,
    read_picture,
    read_texts,
    save,
    write,
)
from sfumato.images.filmstrip import Frame, filmstrip
from sfumato.images.tensors import fault, to_images, to_mask, to_tensor

__all__ = [
    "ANIMATIONS",
    "PICTURES",
    "Canvas",
    "Frame",
    "Masking",
    "Texts",
    "animate",
    "check_animation",
    "check_output",
    "encode",
    "fault",
    "filmstrip",
    "is_ours",
    "lay",
    "layers",
    "lossy",
    "read_picture",
    "read_texts",
    "save",
    "to_images",
    "to_mask",
    "to_tensor",
    "write",
]
