"""What clients of the A1111 dialect send: every field of theirs, each of which may be left out.

Which of them can be followed, and what is refused by its name, `a1111.refusals` knows.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BatchExtras", "Extras", "Image2Image", "NamedPicture", "PngInfo", "Text2Image"]

Json = object


class _Sent(BaseModel):
    """Unknown fields are kept, so that they can be refused by their names."""

    # Python reads NaN and Infinity where JSON has none; nothing that can be asked for is either.
    model_config = ConfigDict(extra="allow", protected_namespaces=(), allow_inf_nan=False)

    def unknown(self) -> dict[str, object]:
        """The fields that are not of this dialect, with their values."""
        return dict(self.model_extra or {})


class Text2Image(_Sent):
    """A picture from a prompt. What is left out, or null, is as the model likes it."""

    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = Field(None, description="-1 draws one; picture i has seed + i")
    steps: int | None = None
    cfg_scale: float | None = None
    width: int | None = None
    height: int | None = None
    sampler_name: str | None = None
    sampler_index: str | None = Field(None, description="Euler, where no sampler is named")
    scheduler: str | None = Field(None, description="automatic is the model's own")
    batch_size: int | None = None
    n_iter: int | None = Field(None, description="batch_size x n_iter pictures are made")
    override_settings: dict[str, Json] | None = None
    override_settings_restore_afterwards: bool | None = None
    infotext: str | None = Field(None, description="A1111's text; fills what is left out")
    send_images: bool | None = None
    save_images: bool | None = None
    do_not_save_samples: bool | None = Field(
        None, description="the pictures go to the library's trash once they are sent"
    )
    do_not_save_grid: bool | None = None
    force_task_id: str | None = None
    denoising_strength: float | None = None
    clip_skip: int | None = None
    styles: list[str] | None = None
    subseed: int | None = None
    subseed_strength: float | None = None
    seed_resize_from_h: int | None = None
    seed_resize_from_w: int | None = None
    restore_faces: bool | None = None
    tiling: bool | None = None
    eta: float | None = None
    s_churn: float | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    s_noise: float | None = None
    s_min_uncond: float | None = None
    disable_extra_networks: bool | None = None
    comments: dict[str, Json] | None = None
    enable_hr: bool | None = None
    firstphase_width: int | None = None
    firstphase_height: int | None = None
    hr_scale: float | None = None
    hr_upscaler: str | None = None
    hr_second_pass_steps: int | None = None
    hr_resize_x: int | None = None
    hr_resize_y: int | None = None
    hr_checkpoint_name: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str | None = None
    hr_negative_prompt: str | None = None
    hr_cfg: float | None = None
    hr_distilled_cfg: float | None = None
    hr_additional_modules: list[Json] | None = None
    distilled_cfg_scale: float | None = None
    refiner_checkpoint: str | None = None
    refiner_switch_at: float | None = None
    script_name: str | None = None
    script_args: list[Json] | dict[str, Json] | None = None
    alwayson_scripts: dict[str, Json] | None = None


class Image2Image(Text2Image):
    """A picture from a picture; with a mask, only where the mask is white."""

    init_images: list[str] | None = Field(None, description="base64, bare or as data: URLs")
    include_init_images: bool | None = None
    resize_mode: int | None = Field(None, description="0 stretch, 1 crop, 2 pad")
    mask: str | None = None
    latent_mask: str | None = None
    mask_blur: float | None = None
    mask_blur_x: float | None = None
    mask_blur_y: float | None = None
    mask_round: bool | None = None
    inpainting_fill: int | None = Field(None, description="0 blur, 1 original, 2 noise, 3 nothing")
    inpaint_full_res: bool | int | None = None
    inpaint_full_res_padding: int | None = None
    inpainting_mask_invert: int | None = None
    image_cfg_scale: float | None = None
    initial_noise_multiplier: float | None = None


class PngInfo(_Sent):
    """A picture file whose text is to be read."""

    image: str


class Extras(_Sent):
    """How a picture is to be made larger."""

    image: str | None = None
    resize_mode: int | None = Field(None, description="0 by a factor, 1 to a size")
    show_extras_results: bool | None = None
    upscaling_resize: float | None = None
    upscaling_resize_w: int | None = None
    upscaling_resize_h: int | None = None
    upscaling_crop: bool | None = None
    upscaler_1: str | None = None
    upscaler_2: str | None = None
    extras_upscaler_2_visibility: float | None = None
    gfpgan_visibility: float | None = None
    codeformer_visibility: float | None = None
    codeformer_weight: float | None = None
    upscale_first: bool | None = None


class NamedPicture(BaseModel):
    """One picture of a batch; its name is for its sender."""

    data: str
    name: str


class BatchExtras(Extras):
    """How several pictures are to be made larger."""

    imageList: list[NamedPicture]  # noqa: N815 - the dialect's name
