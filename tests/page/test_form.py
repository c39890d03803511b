"""The form: each field has a place, an edited recipe loses nothing, tokens are counted."""

import json
import re

from playwright.sync_api import Page, Route, expect

from tests.page.acts import make, paint, stored
from tests.page.conftest import Witness

# All of it is said by a request that mini paints; each is another value than the usual one.
WISH: dict[str, object] = {
    "negative": "text",
    "template": "a {red|blue} fox, 3d",
    "negative_template": "{text|words}",
    "seed": "18446744073709551615",
    "steps": 3,
    "guidance": 2.5,
    "rescale": 0.3,
    "interval": [0.2, 9.5],
    "guidance_rule": "apg",
    "apg_along": 0.4,
    "apg_longest": 12.0,
    "sampler": "euler_ancestral",
    "schedule": "karras",
    "width": 96,
    "height": 160,
    "wander": True,
    "path_seed": "18446744073709551614",
    "variation_seed": "12345678901234567890",
    "variation_strength": 0.25,
    "seed_width": 64,
    "seed_height": 72,
    "like": "a1111",
    "stream": "nv",
    "step_noise": "own",
    "sde_noise": "brownian",
    "first_noise": "variance",
    "whole_times": True,
    "discard_penultimate": True,
    "strength_steps": "extra",
    "weighting": "comfy",
    "rounding": "truncate",
    "embeddings": [],
    "upscale": 2,
}


def unfold(page: Page) -> None:
    for fold in ("more", "rest"):
        details = page.locator(f"details[data-fold={fold}]")
        if details.get_attribute("open") is None:
            details.locator("summary").click()


def sent(page: Page) -> dict[str, object]:
    """The request that a press on Paint sends; it is answered when this returns."""
    with page.expect_response("**/api/jobs") as answered:
        page.locator("#paint").click()
    return json.loads(answered.value.request.post_data or "{}")["request"]


def test_every_field_of_a_request_has_a_place_on_the_page(page: Page) -> None:
    unfold(page)
    places = page.locator("[data-field]").evaluate_all(
        "nodes => nodes.flatMap((node) => node.dataset.field.split(' '))"
    )
    fields = {row["name"] for row in page.request.get("/api/fields").json()}
    assert fields - {*places} == {"embeddings"}, "which the prompt names"


def test_a_recipe_that_is_edited_loses_nothing(page: Page) -> None:
    [made] = make(page, ["a red fox, 3d"], **WISH)
    recipe = page.request.get(f"/api/pictures/{made}").json()["recipe"]["request"]
    assert {name: recipe[name] for name in WISH} == WISH
    page.reload()
    page.get_by_role("button", name="Use recipe").click()
    expect(page.locator(".toast", has_text="Its recipe is in the controls.")).to_be_visible()
    page.locator("#f-prompt").fill("a red fox in snow, 3d")
    page.locator("#f-negative").fill("text, words")
    page.reload()
    expect(page.locator("#f-prompt")).to_have_value("a red fox in snow, 3d")
    again = sent(page)
    edited = {"prompt": "a red fox in snow, 3d", "negative": "text, words"}
    said = {name: value for name, value in recipe.items() if value is not None}
    assert {**said, **again} == {**said, **edited}
    assert WISH.keys() | {"prompt"} <= again.keys()


def test_what_is_not_as_usual_is_named_where_it_is_folded_away(page: Page) -> None:
    make(
        page,
        ["a red fox, 3d"],
        seed="7",
        rescale=0.5,
        guidance_rule="zero_star",
        rounding="truncate",
    )
    page.reload()
    more = page.locator("details[data-fold=more] .said")
    rest = page.locator("details[data-fold=rest] .said")
    expect(more).to_have_text("")
    page.get_by_role("button", name="Use recipe").click()
    expect(more).to_have_text("Rescale, Guided by")
    expect(rest).to_have_text("Rounding")


def test_all_controls_go_back_at_once_and_come_again(page: Page) -> None:
    back = page.get_by_role("button", name="All controls back to what the model likes")
    expect(back).to_be_hidden()
    page.locator("#f-prompt").fill("a boat, flat")
    for name, value in (("steps", "3"), ("guidance", "4")):
        page.locator(f"#f-{name}").fill(value)
        page.locator(f"#f-{name}").blur()
    unfold(page)
    page.locator("#f-rounding").select_option("truncate")
    back.click()
    expect(page.locator("#f-guidance")).to_have_value("2")
    expect(page.locator("#f-prompt")).to_have_value("a boat, flat")
    expect(back).to_be_hidden()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#f-guidance")).to_have_value("4")
    expect(page.locator("#f-rounding")).to_have_value("truncate")


def test_the_template_of_a_prompt_is_shown_until_it_is_forgotten(page: Page) -> None:
    make(page, ["a red fox, 3d"], template="a {red|blue} fox, 3d")
    page.reload()
    page.get_by_role("button", name="Use recipe").click()
    drawn = page.locator("[data-field=template]")
    expect(drawn).to_contain_text("Drawn from the template a {red|blue} fox, 3d")
    page.locator("#f-prompt").fill("a red fox at night, 3d")
    expect(drawn).to_be_visible()
    drawn.get_by_role("button", name="Forget it").click()
    expect(drawn).to_be_hidden()
    assert stored(page, "wish")["template"] == ""


def test_own_noise_levels_stand_in_place_of_steps_and_schedule(page: Page) -> None:
    unfold(page)
    page.locator("#f-schedule").select_option("karras")
    levels = page.locator("#f-sigmas")
    levels.fill("many")
    levels.blur()
    expect(page.locator("#f-sigmas-error")).to_contain_text("Numbers with commas")
    levels.fill("14.6, 5 1.6; 0.4")
    levels.blur()
    expect(page.locator("#f-sigmas-error")).to_be_hidden()
    request = sent(page)
    assert request["sigmas"] == [14.6, 5, 1.6, 0.4]
    assert not {"steps", "schedule"} & request.keys()
    page.locator("#f-steps").fill("2")
    page.locator("#f-steps").blur()
    expect(levels).to_have_value("")
    assert sent(page)["steps"] == 2


def test_another_tool_opens_what_the_one_before_had_filled(page: Page) -> None:
    make(page, ["a red fox, 3d"], like="a1111")
    page.reload()
    page.get_by_role("button", name="Use recipe").click()
    unfold(page)
    expect(page.locator("#f-stream")).to_have_value("nv")
    page.locator("#f-like").select_option("comfy")
    request = sent(page)
    assert request["like"] == "comfy"
    assert not {"stream", "rounding", "weighting", "whole_times"} & request.keys()


def test_a_picture_is_enlarged_and_the_page_says_to_what(page: Page) -> None:
    unfold(page)
    page.locator("#f-upscale").select_option("4")
    field = page.locator("[data-field=upscale]")
    expect(field.locator(".note")).to_have_text("The picture comes out at 512 × 512 pixels.")
    paint(page, "a red fox, 3d")
    expect(page.locator("#stage-foot .recipe")).to_contain_text("512 × 512")
    field.get_by_role("button", name="Enlarge: back to what the model likes").click()
    for side in ("Width", "Height"):
        page.get_by_label(f"{side} in pixels").fill("8192")
        page.get_by_label(f"{side} in pixels").blur()
    expect(field).to_be_hidden()


def test_the_strength_of_a_distilled_model_is_shown_for_it_alone(
    page: Page, witness: Witness
) -> None:
    witness.expected = ("/api/tokens",)  # this server has no such model to read with

    def with_flux(route: Route) -> None:
        answer = route.fetch()
        [mini] = answer.json()
        likes = {**mini["defaults"], "distilled": 3.5}
        flux = {**mini, "name": "flux", "title": "Flux dev", "default": False, "defaults": likes}
        route.fulfill(response=answer, json=[mini, flux])

    page.route("**/api/models", with_flux)
    page.reload()
    field = page.locator("[data-field=distilled]")
    expect(page.locator("#model-name")).to_have_text("mini")
    expect(field).to_be_hidden()
    page.locator("#f-model").select_option("flux")
    expect(page.locator("#model-name")).to_have_text("flux")
    expect(page.locator("#f-distilled")).to_have_value("3.5")
    page.locator("#f-distilled").fill("2.5")
    page.locator("#f-distilled").blur()
    assert stored(page, "wish")["distilled"] == 2.5
    page.locator("#f-model").select_option("mini")
    expect(field).to_be_visible()  # what is said is seen, and can be taken back
    field.get_by_role("button", name="back to what the model likes").click()
    expect(field).to_be_hidden()


def test_the_tokens_of_a_prompt_are_counted_while_it_is_typed(page: Page) -> None:
    count = page.locator(".words:has(#f-prompt) .token-count")
    expect(count).to_have_text("5 of 30 tokens")
    page.locator("#f-prompt").fill("a (red:1.3) fox AND [cat:dog:0.5], flat")
    expect(count).to_have_text("3 of 30 tokens · 2 prompts joined · 2 stages")
    count.click()
    expect(count).to_have_attribute("aria-expanded", "true")
    red = page.locator(".token", has_text="red").first
    expect(red).to_have_attribute("data-weight", "1.30")
    page.locator("#f-prompt").fill("a fox " + "in the hills " * 12)
    trouble = page.locator(".words:has(#f-prompt) .trouble")
    expect(trouble).to_have_text(re.compile("^Too long; this falls off: .*hills"))
    expect(count).to_have_class(re.compile("over"))
    page.locator("#f-prompt").fill("<lora:soft:1> a fox")
    expect(trouble).to_contain_text("It cannot attach networks yet: <lora:soft:1>")
    page.locator("#f-prompt").fill("")
    expect(count).to_be_hidden()
    expect(trouble).to_have_text("")


def test_what_the_model_does_not_know_or_lacks_is_said_below_the_prompt(page: Page) -> None:
    aside = page.locator(".words:has(#f-prompt) .aside")
    page.locator("#f-prompt").fill("a sextant, flat")
    expect(aside.filter(has_text="mini was never shown: sextant.")).to_be_visible()

    def without_t5(route: Route) -> None:
        answer = route.fetch()
        lacking = {"model": "sd3", "strange": [], "absent": ["T5 (text encoder 3)"]}
        route.fulfill(response=answer, json={**answer.json(), **lacking})

    page.route("**/api/tokens", without_t5)
    page.locator("#f-prompt").fill("a red fox, flat")
    said = "sd3 paints without its T5 (text encoder 3), which its file does not hold."
    expect(aside.filter(has_text=said)).to_be_visible()
    expect(aside.filter(has_text="never shown")).to_be_hidden()


def test_a_learnt_word_that_a_recipe_does_not_hear_is_offered(page: Page) -> None:
    def with_soft(route: Route) -> None:
        asked = route.request.post_data_json["request"]
        pins = asked.get("embeddings")
        names = ["soft"] if pins is None else [pin["name"] for pin in pins]
        answer = route.fetch(post_data={"request": {"prompt": asked["prompt"]}})
        route.fulfill(
            response=answer, json={**answer.json(), "embeddings": dict.fromkeys(names, 2)}
        )

    page.route("**/api/tokens", with_soft)
    make(page, ["a red fox, 3d"])
    page.reload()
    page.get_by_role("button", name="Use recipe").click()
    page.locator("#f-prompt").fill("a soft red fox, 3d")
    offered = page.locator(".aside", has_text="soft: learnt here, and not heard by this recipe.")
    offered.get_by_role("button", name="Hear it").click()
    expect(offered).to_be_hidden()
    assert stored(page, "wish")["embeddings"] == [{"name": "soft", "sha256": ""}]
