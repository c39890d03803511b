"""The native routes under whatever their own OpenAPI document allows, and much that it forbids."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.schemas import BaseSchema

from tests.server.calm import calm_client
from tests.server.test_native_jobs import ended, send
from tests.server.test_native_pictures import A1111, png

EXAMPLES = 20  # of each route and kind


@dataclass(frozen=True)
class Walked:
    """A server's document, and what is there to be asked for: a job, two pictures, an input."""

    schema: BaseSchema
    job: str
    sheet: str
    pictures: tuple[str, str]
    sha256: str

    def put_into(self, case: schemathesis.Case) -> None:
        """Ask for what is there, instead of for what chance has drawn."""
        ids = {"jobs": self.job, "sheets": self.sheet, "pictures": self.pictures[0]}
        known = {
            "id": ids.get(case.operation.path.split("/")[2], ""),
            "job": self.job,
            "other": self.pictures[1],
            "sha256": self.sha256,
            "step": 1,
        }
        for name in case.path_parameters:
            case.path_parameters[name] = known[name]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """The one stream that never ends is left out."""
    with calm_client(tmp_path_factory.mktemp("walked") / "home", "testserver") as client:
        schema = schemathesis.openapi.from_asgi("/openapi.json", client.app)
        # A wish of the right shape may still be refused: a strength without a picture. And what is
        # deleted lies in the trash, where it is still there to be looked at and brought back.
        unheld = ["positive_data_acceptance", "use_after_free"]
        schema.config.checks.update(excluded_check_names=unheld)
        job = ended(client, send(client, prompt="a fox", count=2)["id"])
        wanted = {"request": {"prompt": "a fox"}, "x": "steps=2,3"}
        sheet = client.post("/api/sheets", json=wanted).json()["sheet"]
        foreign = client.post("/api/pictures", content=png(text=A1111)).json()["id"]
        yield Walked(
            schema.include(path_regex="^/api/").exclude(path="/api/events"),
            job["id"],
            sheet["id"],
            (job["pictures"][0]["id"], foreign),
            client.post("/api/inputs", content=png()).json()["sha256"],
        )


@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_finds_a_fault_or_an_answer_of_another_shape(
    walked: Walked, mode: GenerationMode
) -> None:
    routes, unasked = 0, set[str]()
    for found in walked.schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
        def walk(case: schemathesis.Case, there: bool) -> None:
            if there and mode is GenerationMode.POSITIVE:
                walked.put_into(case)
            case.call_and_validate()

        try:
            walk()
        except Unsatisfiable:
            unasked.add(operation.label)
        routes += 1
    assert routes > 20
    # What takes no parameter, or any bytes, cannot be asked wrongly.
    assert unasked <= {
        "DELETE /api/trash",
        "GET /api/about",
        "GET /api/fields",
        "GET /api/models",
        "GET /api/samplers",
        "POST /api/pictures",
        "POST /api/read",
    }


def test_what_one_answer_names_another_finds(walked: Walked) -> None:
    """Jobs and pictures are made, and then asked for by the names that the answers gave."""
    walked.schema.as_state_machine().run(
        settings=settings(
            max_examples=10, stateful_step_count=8, suppress_health_check=list(HealthCheck)
        )
    )
