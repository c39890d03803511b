"""ComfyUI's graphs: the way to text, model and numbers is found, and no graph is an error."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.recipe import from_parameters
from sfumato.server.library import comfyui
from sfumato.server.library.comfyui import outline
from sfumato.server.library.outline import Outline

Nodes = dict[str, dict[str, object]]


def node(kind: str, **inputs: object) -> dict[str, object]:
    return {"class_type": kind, "inputs": inputs}


def plain(**changes: dict[str, object]) -> Nodes:
    """The graph that a new ComfyUI opens with, as its server runs it."""
    sampler = {
        "seed": 2**64 - 1,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler_ancestral",
        "scheduler": "karras",
        "denoise": 1,
        "model": ["4", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }
    return {
        "3": node("KSampler", **sampler),
        "4": node("CheckpointLoaderSimple", ckpt_name="sd/v1-5-pruned.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a red fox", clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="x", images=["8", 0]),
        **changes,
    }


def with_inputs(nodes: Nodes, name: str, **inputs: object) -> Nodes:
    changed = {**nodes[name]["inputs"], **inputs}  # type: ignore[dict-item]
    return {**nodes, name: {**nodes[name], "inputs": changed}}


def read(nodes: object) -> Outline:
    found = outline(json.dumps(nodes), "")
    assert found is not None
    return found


def test_the_plain_graph_is_read_whole():
    assert read(plain()) == Outline(
        prompt="a red fox",
        negative="blurry",
        seed=2**64 - 1,
        model="v1-5-pruned",
        sampler="euler_ancestral",
        schedule="karras",
        steps=20,
        guidance=8.0,
        extra={"RNG": "CPU", "Like": "comfy"},
    )


def test_what_comfyui_made_is_painted_with_its_numerics():
    outline = read(plain())
    assert outline is not None
    request = from_parameters(outline.parameters(512, 512)).request
    assert (request.like, request.stream, request.brackets) == ("comfy", "cpu", "comfy")


def test_values_are_followed_to_the_nodes_that_hold_them():
    nodes = plain(
        **{
            "20": node("Seed (rgthree)", seed=5),
            "21": node("PrimitiveInt", value=33),
            "22": node("PrimitiveFloat", value=6.5),
            "23": node("Reroute", value=["21", 0]),
            "24": node("PrimitiveStringMultiline", value="a fox of glass"),
        }
    )
    nodes = with_inputs(nodes, "3", seed=["20", 0], steps=["23", 0], cfg=["22", 0])
    found = read(with_inputs(nodes, "6", text=["24", 0]))
    assert (found.seed, found.steps, found.guidance) == (5, 33, 6.5)
    assert found.prompt == "a fox of glass"


def test_joined_texts_are_joined():
    nodes = plain(
        **{"20": node("StringConcatenate", string_a="a fox", string_b=["21", 0], delimiter=", ")},
        **{"21": node("String Literal", string="oil on canvas")},
    )
    assert read(with_inputs(nodes, "6", text=["20", 0])).prompt == "a fox, oil on canvas"


def test_both_texts_of_sdxl_are_kept_once_each():
    both = {"text_g": "a fox", "clip": ["4", 1]}
    for other, expected in (("a fox", "a fox"), ("painted", "a fox\npainted")):
        sdxl = node("CLIPTextEncodeSDXL", width=1024, height=1024, **both, text_l=other)
        assert read(plain(**{"6": sdxl})).prompt == expected


def test_what_bends_the_conditioning_is_passed_through():
    control = {"positive": ["6", 0], "negative": ["7", 0], "control_net": ["31", 0], "strength": 1}
    nodes = plain(
        **{
            "30": node("ControlNetApplyAdvanced", **control),
            "31": node("ControlNetLoader", control_net_name="canny.safetensors"),
            "32": node("ConditioningCombine", conditioning_1=["30", 0], conditioning_2=["33", 0]),
            "33": node("CLIPTextEncode", text="in snow", clip=["4", 1]),
            "34": node("ATrickOfTomorrow", something=["30", 1], mode="text that is no prompt"),
        }
    )
    found = read(with_inputs(nodes, "3", positive=["32", 0], negative=["34", 0]))
    assert (found.prompt, found.negative) == ("a red fox\nin snow", "blurry")


def test_what_was_zeroed_is_no_negative_prompt():
    nodes = plain(**{"7": node("ConditioningZeroOut", conditioning=["6", 0])})
    assert read(nodes).negative == ""


def test_loras_are_told_and_the_model_is_found_behind_them():
    many = {"lora_1": {"on": True, "lora": "ink.safetensors", "strength": 0.5}}
    off = {"lora_2": {"on": False, "lora": "oil.safetensors", "strength": 1}}
    nodes = plain(
        **{
            "10": node(
                "LoraLoader", lora_name="a/fur.safetensors", strength_model=0.8, model=["11", 0]
            ),
            "11": node("Power Lora Loader (rgthree)", **many, **off, model=["4", 0]),
        }
    )
    found = read(with_inputs(nodes, "3", model=["10", 0]))
    assert found.model == "v1-5-pruned"
    assert found.extra["Lora"] == "fur: 0.8, ink: 0.5"


def test_flux_with_its_parts_apart_is_read():
    nodes: Nodes = {
        "1": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "2": node("CLIPTextEncodeFlux", clip_l="a fox", t5xxl="a fox", guidance=3.5, clip=["9", 0]),
        "3": node("BasicGuider", model=["1", 0], conditioning=["2", 0]),
        "4": node("RandomNoise", noise_seed=42),
        "5": node("KSamplerSelect", sampler_name="euler"),
        "6": node("BasicScheduler", scheduler="simple", steps=28, denoise=0.6, model=["1", 0]),
        "7": node("EmptySD3LatentImage", width=1024, height=1024, batch_size=1),
        "8": node(
            "SamplerCustomAdvanced",
            noise=["4", 0],
            guider=["3", 0],
            sampler=["5", 0],
            sigmas=["6", 0],
            latent_image=["7", 0],
        ),
        "9": node(
            "DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors"
        ),
    }
    found = read(nodes)
    assert found == Outline(
        prompt="a fox",
        seed=42,
        model="flux1-dev",
        sampler="euler",
        schedule="simple",
        steps=28,
        extra={
            "RNG": "CPU",
            "Like": "comfy",
            "Distilled CFG Scale": "3.5",
            "Denoising strength": "0.6",
        },
    )


def test_a_guider_with_two_prompts_and_samplers_named_by_their_nodes_are_read():
    guider = node("CFGGuider", cfg=4.5, model=["4", 0], positive=["6", 0], negative=["7", 0])
    nodes = plain(
        **{
            "3": node(
                "SamplerCustomAdvanced", noise=["20", 0], guider=["21", 0], sampler=["22", 0]
            ),
            "20": node("RandomNoise", noise_seed=1),
            "21": guider,
            "22": node("SamplerDPMPP_2M_SDE", eta=1),
            "23": node("KarrasScheduler", steps=12, sigma_max=14.6, sigma_min=0.03),
        }
    )
    found = read(with_inputs(nodes, "3", sigmas=["23", 0]))
    assert (found.sampler, found.schedule, found.steps) == ("dpmpp_2m_sde", "karras", 12)
    assert (found.prompt, found.negative, found.guidance) == ("a red fox", "blurry", 4.5)
    assert found.model == "v1-5-pruned"


def test_of_several_passes_the_first_tells_the_seed():
    second = {**plain()["3"]["inputs"], "seed": 7, "steps": 9, "denoise": 0.5}  # type: ignore[dict-item]
    nodes = plain(
        **{
            "2": node("KSampler", **{**second, "latent_image": ["12", 0]}),
            "12": node("LatentUpscale", samples=["3", 0]),
            "8": node("VAEDecode", samples=["2", 0], vae=["4", 2]),
            "1": node("FaceDetailer", **{**second, "seed": 8}, image=["8", 0]),
        }
    )
    assert read(nodes).seed == 2**64 - 1


def test_of_two_branches_the_one_that_is_saved_counts():
    other = {**plain()["3"]["inputs"], "seed": 7}  # type: ignore[dict-item]
    assert read({"1": node("KSampler", **other), **plain()}).seed == 2**64 - 1


def test_a_loader_that_holds_everything_is_read():
    nodes: Nodes = {
        "1": node(
            "Efficient Loader", ckpt_name="a.safetensors", positive="a fox", negative="blurry"
        ),
        "2": node(
            "KSampler (Efficient)", seed=1, steps=2, cfg=3, positive=["1", 1], model=["1", 0]
        ),
        "3": node("easy kSampler", seed=1, steps=2, pipe=["1", 0]),
    }
    nodes["2"]["inputs"]["negative"] = ["1", 2]  # type: ignore[index]
    for names in (("1", "2"), ("1", "3")):
        found = read({name: nodes[name] for name in names})
        assert (found.prompt, found.negative, found.model) == ("a fox", "blurry", "a")


WORKFLOW = {
    "nodes": [
        {
            "id": 3,
            "type": "KSampler",
            "inputs": [
                {"name": "model", "link": 1},
                {"name": "positive", "link": 2},
                {"name": "negative", "link": 3},
                {"name": "seed", "link": 9, "widget": {"name": "seed"}},
            ],
            "widgets_values": [5, "randomize", 20, 8, "euler", "normal", 1],
        },
        {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["m.ckpt"]},
        {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a red fox"]},
        {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["blurry"], "mode": 4},
        {"id": 8, "type": "VHS", "widgets_values": {"frame_rate": 8}},
    ],
    "links": [[1, 4, 0, 3, 0, "MODEL"], [2, 6, 0, 3, 1, "CONDITIONING"], [3, 7, 0, 3, 2, "C"]],
}


def test_the_pages_own_graph_is_read_where_there_is_no_other():
    found = outline("", json.dumps(WORKFLOW))
    assert found is not None
    assert (found.prompt, found.model, found.seed, found.steps) == ("a red fox", "m", 5, 20)
    assert (found.sampler, found.schedule, found.guidance) == ("euler", "normal", 8.0)
    assert found.negative == ""  # its node was switched off


@pytest.mark.parametrize(
    "text", ["", "a prompt", "[1]", "{}", '{"a": 1}', "[" * 100_000, '{"1": {}}']
)
def test_what_is_no_graph_is_none(text: str):
    assert outline(text, text) is None


def test_a_graph_without_a_sampler_says_nothing():
    assert read({"1": node("LoadImage", image="a.png")}) == Outline()


def test_a_graph_that_runs_in_circles_ends():
    nodes = plain(**{"6": node("A", x=["7", 0], y=["6", 0]), "7": node("B", x=["6", 0])})
    assert read(with_inputs(nodes, "3", steps=["6", 0], seed=["7", 0])).prompt == ""


def test_a_hostile_graph_is_read_in_bounds():
    many: Nodes = {
        str(i): node("S", seed=[str(i + 1), 0], steps=[str(i + 1), 0]) for i in range(20_000)
    }
    wide = {f"text_{i % 10}{i % 7}": [str(i), 0] for i in range(20_000)}
    sampler = node("KSampler", seed=1, steps=2, positive=["0", 0], **wide)
    # Without bounds it takes hours, and the suite's limit ends it.
    assert read({"x": sampler, **many}).prompt == ""


def looked(monkeypatch: pytest.MonkeyPatch, nodes: Nodes) -> int:
    """How many inputs are looked behind while a graph is read: what it costs."""
    count = 0
    behind = comfyui._Graph.behind

    def counted(graph: comfyui._Graph, value: object) -> object:
        nonlocal count
        count += 1
        return behind(graph, value)

    monkeypatch.setattr(comfyui._Graph, "behind", counted)
    read(nodes)
    return count


def test_a_chain_of_loose_ends_is_followed_once(monkeypatch: pytest.MonkeyPatch):
    keys = ("seed", "steps", "cfg", "noise", "sigmas", "model", "positive", "value", "guider")
    chain: Nodes = {
        str(i): node("X", **{key: [str(i + 1), 0] for key in keys}) for i in range(1000)
    }
    assert looked(monkeypatch, chain) < 400 * len(chain)


def test_many_samplers_with_many_links_are_ranked_in_bounds(monkeypatch: pytest.MonkeyPatch):
    links = {str(j): [str(7 * j % 500), 0] for j in range(100)}
    many: Nodes = {str(i): node("KSampler", seed=1, steps=2, **links) for i in range(500)}
    assert looked(monkeypatch, many) < 10 * 500 * 100


def test_what_stands_between_two_texts_cannot_fill_the_memory():
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts: dict[str, object] = {f"text{a}{b}": f"{a}{b}" for a in letters for b in letters}
    joined = node("Concat", delimiter="x" * 10_000, **texts)
    nodes = plain(**{"6": joined})
    assert len(read(nodes).prompt) < 100 * 1000


def test_a_text_that_is_no_graph_anybody_drew_is_not_read():
    nodes = plain(**{"6": node("CLIPTextEncode", text="x" * 5_000_000)})
    assert outline(json.dumps(nodes), "") is None


@pytest.mark.parametrize("number", [10**400, -(10**400), math.inf, -math.inf, math.nan])
def test_a_number_that_is_none_is_not_told(number: float):
    nodes = plain(**{"6": node("FluxGuidance", guidance=number, text="a red fox")})
    nodes = with_inputs(nodes, "3", cfg=number, denoise=number, model=["9", 0])
    nodes["9"] = node("LoraLoader", lora_name="soft", strength_model=number, model=["4", 0])
    found = read(nodes)
    assert (found.guidance, found.prompt) == (None, "a red fox")
    assert found.extra == {"RNG": "CPU", "Like": "comfy", "Lora": "soft: 1"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["1", "2", "x", "seed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "1",
                    "2",
                    "class_type",
                    "inputs",
                    "seed",
                    "steps",
                    "positive",
                    "model",
                    "text",
                    "nodes",
                    "links",
                    "id",
                    "type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(JSON, JSON)
def test_nothing_that_json_can_say_is_an_error(prompt: object, workflow: object):
    outline(json.dumps(prompt), json.dumps(workflow))


@given(
    st.dictionaries(
        st.sampled_from("123456"),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(
                    ["KSampler", "A", "SaveImage", "ConditioningZeroOut"]
                ),
                "inputs": st.dictionaries(
                    st.sampled_from(
                        [
                            "seed",
                            "steps",
                            "cfg",
                            "positive",
                            "negative",
                            "model",
                            "guider",
                            "sigmas",
                            "noise",
                            "text",
                            "x",
                        ]
                    ),
                    st.tuples(st.sampled_from("123456"), st.just(0)) | st.floats() | st.text(),
                ),
            }
        ),
    )
)
def test_no_graph_is_an_error(nodes: object):
    outline(json.dumps(nodes), "")


@pytest.mark.parametrize("kind", ["ModelSamplingSD3", "ModelSamplingAuraFlow"])
def test_a_shift_is_told_as_the_nearest_node_before_the_model_says(kind: str):
    nodes = plain(
        **{
            "10": node(kind, shift=5, model=["11", 0]),
            "11": node("ModelSamplingSD3", shift=2.0, model=["4", 0]),
        }
    )
    found = read(with_inputs(nodes, "3", model=["10", 0]))
    assert found.extra["Shift"] == "5"
    assert found.model == "v1-5-pruned"


def test_the_shift_of_flux_is_that_of_the_size_that_its_node_names():
    flux = {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024}
    nodes = plain(**{"10": node("ModelSamplingFlux", **flux, model=["4", 0])})
    found = read(with_inputs(nodes, "3", model=["10", 0]))
    assert float(found.extra["Shift"]) == pytest.approx(math.exp(1.15))


@pytest.mark.parametrize(
    "wrong", [{"max_shift": 1e300}, {"width": 1e300}, {"height": -8}, {"base_shift": "x"}]
)
def test_a_shift_that_no_request_may_hold_is_not_told(wrong: dict[str, object]):
    flux = {"max_shift": 1.15, "base_shift": 0.5, "width": 1024, "height": 1024, **wrong}
    nodes = plain(**{"10": node("ModelSamplingFlux", **flux, model=["4", 0])})
    assert "Shift" not in read(with_inputs(nodes, "3", model=["10", 0])).extra
    nodes = plain(**{"10": node("ModelSamplingSD3", shift=float("nan"), model=["4", 0])})
    assert "Shift" not in read(with_inputs(nodes, "3", model=["10", 0])).extra
