"""Of which layers a model is led away from, and that they are those that were published."""

import pytest
import torch

from sfumato.catalog import CATALOG
from sfumato.nn.unet import SpatialTransformer, UNet
from sfumato.spec import FluxConfig, MMDiTConfig, UNetConfig

UNETS = [spec for spec in CATALOG.values() if isinstance(spec.denoiser, UNetConfig)]


@pytest.mark.parametrize("spec", UNETS, ids=lambda spec: spec.name)
def test_pag_leads_away_from_the_middle_of_every_u_net(spec):
    with torch.device("meta"):
        unet = UNet(spec.denoiser)
    layers = [each for each in unet.modules() if isinstance(each, SpatialTransformer)]
    assert unet.transformers == len(layers)
    (number,) = spec.defaults.pag_layers
    assert layers[number] is unet.middle_attention
    assert spec.defaults.slg_layers is None


def test_the_layers_run_in_the_order_in_which_they_are_counted():
    unet = UNet(UNetConfig(channels=(32, 64), depth=(1, 1), heads=2, context=8, groups=8)).eval()
    ran = []
    layers = [each for each in unet.modules() if isinstance(each, SpatialTransformer)]
    for number, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    with torch.no_grad():
        unet(torch.zeros(1, 4, 8, 8), torch.zeros(1), torch.zeros(1, 3, 8))
    assert ran == list(range(unet.transformers)) == list(range(11))


def test_transformers_have_the_layers_that_are_usual_and_flux_is_led_away_from_none():
    for spec in CATALOG.values():
        usual = spec.defaults
        if isinstance(spec.denoiser, MMDiTConfig):
            assert max(*usual.pag_layers, *usual.slg_layers) < spec.denoiser.depth
        if isinstance(spec.denoiser, FluxConfig):
            assert (usual.pag_layers, usual.slg_layers) == (None, None)
