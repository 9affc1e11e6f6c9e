from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from api.openapi import FILE, as_text
from api.schemas import accounts, answered, asked, duplicates, leads, records, subscriptions, summary, uploads

OPEN = {("get", "/healthz"), ("get", "/readyz"), ("get", "/metrics")}
ROUTES = OPEN | {
    ("post", "/v1/match"),
    ("post", "/v1/partners"),
    ("post", "/v1/tag"),
    ("get", "/v1/programmes"),
    ("post", "/v1/records"),
    ("get", "/v1/records"),
    ("get", "/v1/records/{id}"),
    ("put", "/v1/records/{id}"),
    ("delete", "/v1/records/{id}"),
    ("get", "/v1/records/{id}/history"),
    ("get", "/v1/records/{id}/matches"),
    ("get", "/v1/records/{id}/similar"),
    ("get", "/v1/records/{id}/partners"),
    ("get", "/v1/facets"),
    ("get", "/v1/statistics"),
    ("get", "/v1/export"),
    ("get", "/v1/summary"),
    ("post", "/v1/uploads"),
    ("get", "/v1/uploads"),
    ("get", "/v1/uploads/{id}"),
    ("get", "/v1/uploads/{id}/rejects"),
    ("post", "/v1/judgements"),
    ("get", "/v1/judgements"),
    ("delete", "/v1/judgements"),
    ("post", "/v1/uploads/preview"),
    ("get", "/v1/duplicates"),
    ("post", "/v1/duplicates/{number}"),
    ("get", "/v1/records/{id}/sources"),
    ("post", "/v1/leads"),
    ("get", "/v1/leads"),
    ("get", "/v1/leads/export"),
    ("get", "/v1/leads/{id}"),
    ("post", "/v1/leads/{id}/steps"),
    ("put", "/v1/leads/{id}/assignee"),
    ("get", "/v1/lead-lists"),
    ("post", "/v1/lead-lists"),
    ("delete", "/v1/lead-lists/{id}"),
    ("post", "/v1/lead-lists/{id}/draw"),
    ("get", "/v1/subscriptions"),
    ("post", "/v1/subscriptions"),
    ("get", "/v1/subscriptions/{id}"),
    ("delete", "/v1/subscriptions/{id}"),
    ("get", "/v1/account/export"),
    ("delete", "/v1/account"),
    ("get", "/v1/account"),
    ("post", "/v1/account/keys"),
    ("delete", "/v1/account/keys/{key_id}"),
    ("post", "/v1/session"),
    ("delete", "/v1/session"),
    ("get", "/v1/accounts"),
    ("post", "/v1/accounts"),
    ("delete", "/v1/accounts/{id}"),
}
MODULES = (accounts, answered, asked, duplicates, leads, records, subscriptions, summary, uploads)


def models() -> list[type[BaseModel]]:
    found = [value for module in MODULES for value in vars(module).values() if isinstance(value, type)]
    return [model for model in found if issubclass(model, BaseModel) and model.model_config.get("json_schema_extra")]


def chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    described: dict[str, Any] = client.get("/openapi.json").json()
    return described


def test_every_route_is_described_in_chinese(document: dict[str, Any]) -> None:
    operations = {(method, path): op for path, own in document["paths"].items() for method, op in own.items()}
    assert operations.keys() == ROUTES
    for operation in operations.values():
        assert chinese(operation["summary"])
        assert chinese(operation["description"])
        assert operation["tags"]
        assert all(chinese(response["description"]) for response in operation["responses"].values())
    assert chinese(document["info"]["title"])
    assert chinese(document["info"]["description"])
    used = {tag for operation in operations.values() for tag in operation["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}


def test_every_model_is_described_in_chinese_with_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if name.startswith("Body_"):  # the framework's own, of a form
            continue
        assert schema["examples"], name
        assert chinese(schema["description"]), name
        assert schema["additionalProperties"] is False, name
        for field, own in schema["properties"].items():
            # Where a field is described as its model is, the reference alone is left.
            assert "$ref" in own or chinese(own["description"]), f"{name}.{field}"


def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, own in document["paths"].items():
        for operation in own.values():
            errors = {status: response for status, response in operation["responses"].items() if int(status) >= 400}
            assert all(response["content"] == problem for response in errors.values())
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                assert set(errors) >= {"400", "413", "415", "422", "500", "503"}, path
            if path.startswith("/v1/"):
                # Signing out needs nobody to be signed in.
                wanted = {"429", "500", "503"} | ({"401"} if path != "/v1/session" else set())
                assert set(errors) >= wanted, path
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_parameter_and_field_has_an_example(document: dict[str, Any]) -> None:
    for own in document["paths"].values():
        for operation in own.values():
            for parameter in operation.get("parameters", []):
                assert chinese(parameter["description"]), parameter["name"]
                assert parameter["example"] is not None
    forms = [schema for name, schema in document["components"]["schemas"].items() if name.startswith("Body_")]
    assert forms
    for form in forms:
        assert all(field["examples"] and chinese(field["description"]) for field in form["properties"].values())


def test_only_the_match_and_signing_in_and_out_ask_for_no_key(document: dict[str, Any]) -> None:
    open_ = {
        (method, path)
        for path, own in document["paths"].items()
        for method, operation in own.items()
        if not operation.get("security") or {} in operation["security"]
    }
    assert open_ == OPEN | {("post", "/v1/match"), ("post", "/v1/session"), ("delete", "/v1/session")}


def test_the_description_that_is_checked_in_is_this_one(document: dict[str, Any]) -> None:
    assert as_text(document) == FILE.read_text("utf-8"), "run make openapi"


def test_the_description_lists_what_filters_allow(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["FiltersIn"]["properties"]
    for name, value in (("kinds", "patent"), ("programmes", "biomedicine"), ("provinces", "四川省")):
        assert value in str(fields[name])


def test_the_description_is_the_same_when_asked_twice(client: TestClient, document: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json() == document


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_example_is_valid(model: type[BaseModel]) -> None:
    extra: Any = model.model_config["json_schema_extra"]
    for example in extra["examples"]:
        assert model.model_validate(example).model_dump(exclude_unset=True) == example


@pytest.mark.parametrize(
    ("path", "model"), [("match", asked.MatchIn), ("partners", asked.PartnersIn), ("tag", asked.TagIn)]
)
def test_the_example_of_a_request_can_be_sent(client: TestClient, path: str, model: type[BaseModel]) -> None:
    extra: Any = model.model_config["json_schema_extra"]
    assert client.post(f"/v1/{path}", json=extra["examples"][0]).status_code == 200


def test_the_page_of_the_description_opens(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200


def test_the_documentation_page_and_all_its_files_come_from_this_machine(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    files = re.findall(r"/docs-assets/[\w.-]+", page.text)
    assert files
    assert [client.get(file).status_code for file in files] == [200] * len(files)
