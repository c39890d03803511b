"""A1111's settings: all of them told, of which the model can be chosen and the rest stands fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sfumato.server.a1111.models import short, title
from sfumato.server.a1111.refusals import check_settings

if TYPE_CHECKING:
    from sfumato.server.a1111.models import Checkpoints

__all__ = ["Options"]


class Options:
    """The settings of this dialect. They last as long as the server; requests are never changed."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    def all(self) -> dict[str, Any]:
        """Every setting and its value; posted back whole, it changes nothing."""
        return {
            "sd_model_checkpoint": title(self._checkpoints.chosen),
            "sd_checkpoint_hash": short(self._checkpoints.chosen.sha256) or "",
            "sd_vae": "Automatic",
            "CLIP_stop_at_last_layers": 1,
            "randn_source": "CPU",
            "eta_noise_seed_delta": 0,
            "samples_format": "png",
            "samples_save": True,
            "return_grid": False,
            "enable_pnginfo": True,
            "live_previews_enable": True,
        }

    def change(self, settings: dict[str, Any]) -> None:
        """Choose the model. Raises RefusedError for a setting that cannot be what it should be."""
        now = self.all()
        others = {name: value for name, value in settings.items() if value != now.get(name)}
        check_settings(others, {"sd_model_checkpoint": None})
        if others.get("sd_model_checkpoint"):
            self._checkpoints.choose(str(others["sd_model_checkpoint"]))

    def keep(self, settings: dict[str, Any]) -> None:
        """What a request set, and wants to stay so for those that follow."""
        if settings.get("sd_model_checkpoint"):
            self._checkpoints.choose(str(settings["sd_model_checkpoint"]))
