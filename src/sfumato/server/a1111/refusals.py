"""What the A1111 dialect can ask and sfumato cannot do: refused by its name, never passed over.

Each field has the values that change nothing. Any other value is an error that names the field, so
that nobody gets a picture that silently lacks what was asked for. Fields that only say more about a
refused one (`hr_scale` about `enable_hr`) need no row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import cast

from sfumato.diffusion.table import sampler_row
from sfumato.server.a1111.errors import RefusedError
from sfumato.server.a1111.payloads import Image2Image, Text2Image

__all__ = ["check", "check_settings"]

_OFF: tuple[object, ...] = (None, False, 0, "", "None", [], {})

# Field -> the values that ask for nothing, and what it would be.
_NEUTRAL: Mapping[str, tuple[tuple[object, ...], str]] = {
    "enable_hr": (_OFF, "a second pass at a higher resolution"),
    "restore_faces": (_OFF, "the restoring of faces"),
    "tiling": (_OFF, "pictures that tile"),
    "styles": (_OFF, "stored prompt styles"),
    "script_name": (_OFF, "scripts"),
    "clip_skip": ((*_OFF, 1), "CLIP_stop_at_last_layers outside override_settings"),
    "s_churn": (_OFF, "added noise"),
    "s_noise": ((*_OFF, 1), "a scale of the steps' noise"),
    "s_min_uncond": (_OFF, "steps without guidance"),
    "comments": (_OFF, "comments in a picture"),
    "firstphase_width": (_OFF, "a first pass of another size"),
    "firstphase_height": (_OFF, "a first pass of another size"),
    "latent_mask": (_OFF, "a mask of the latent"),
    "mask_round": ((None, True), "a mask with soft edges"),
    "initial_noise_multiplier": ((*_OFF, 1), "a scale of the first noise"),
}

# Setting -> the values that are in force anyway.
_SETTINGS: Mapping[str, tuple[object, ...]] = {
    "CLIP_stop_at_last_layers": (None, 0, 1),
    "sd_vae": (None, "", "None", "Automatic"),
    "eta_noise_seed_delta": (None, 0),
    "samples_format": (None, "", "png"),
    "samples_save": (None, True),
    "return_grid": (None, False),
    "enable_pnginfo": (None, True),
    "show_progressbar": (None, True),
    "live_previews_enable": (None, True),
    "filter_nsfw": (None, False),
    "tiling": (None, False),
    "token_merging_ratio": (None, 0),
    "forge_additional_modules": (None, []),
}


def check(sent: Text2Image, sampler: str) -> None:
    """Raise RefusedError for the first thing that is asked and cannot be done.

    ``sampler`` is the canonical name of the one that will be used.
    """
    for name, (neutral, what) in _NEUTRAL.items():
        value = getattr(sent, name, None)
        if value not in neutral:
            raise RefusedError(
                f"{name} is {value!r:.60}: {what} cannot be done here; leave it out."
            )
    for name, value in sent.unknown().items():
        if value not in _OFF:
            raise RefusedError(f"{name} is not a field of this request.{_near(name, sent)}")
    _check_eta(sent.eta, sampler)
    for name, script in (sent.alwayson_scripts or {}).items():
        if _active(script):
            raise RefusedError(
                f"alwayson_scripts: there is no script {name!r:.60} here; leave it out."
            )
    if isinstance(sent, Image2Image):
        blurs = {sent.mask_blur_x, sent.mask_blur_y} - {None}
        if len(blurs) > 1:
            raise RefusedError(
                "mask_blur_x and mask_blur_y differ; only one blur both ways is done."
            )


def check_settings(settings: Mapping[str, object], followed: Collection[str]) -> None:
    """Raise RefusedError for a setting that is neither in ``followed`` nor in force anyway."""
    for name, value in settings.items():
        if name in followed:
            continue
        if name not in _SETTINGS:
            raise RefusedError(f"the setting {name!r:.60} is not one that can be changed here.")
        if value not in _SETTINGS[name]:
            raise RefusedError(f"the setting {name} cannot be {value!r:.60} here.")


def _check_eta(eta: float | None, sampler: str) -> None:
    """Every sampler has its own eta of 1 or 0; `webuiapi` sends 1 with all of them."""
    neutral = (None, 1.0) if sampler_row(sampler).draws_noise else (None, 0.0, 1.0)
    if eta not in neutral:
        raise RefusedError(
            f"eta is {eta:g}: the noise of {sampler} cannot be scaled; leave it out."
        )


def _active(script: object) -> bool:
    """Whether a script's arguments ask for anything: clients send switched-off ones along."""
    args = cast(dict[str, object], script).get("args", []) if isinstance(script, dict) else script
    if not isinstance(args, list):
        return args not in _OFF
    listed = cast(list[object], args)
    return not (listed and listed[0] is False) and any(_enabled(arg) for arg in listed)


def _enabled(arg: object) -> bool:
    if not isinstance(arg, dict):
        return arg not in _OFF
    unit = cast(dict[str, object], arg)
    return unit.get("enabled", unit.get("enable", True)) is not False


def _near(name: str, sent: Text2Image) -> str:
    near = get_close_matches(name, list(type(sent).model_fields), n=1)
    return f" Did you mean {near[0]}?" if near else ""
