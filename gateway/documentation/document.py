"""Puts the OpenAPI document together."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from contracts import headers as names
from contracts.emails import StructuredEmail
from contracts.environments import HEADER as ENVIRONMENT_HEADER
from gateway import schemas
from gateway.documentation.operations import OPERATIONS, Operation
from gateway.documentation.parameters import ANSWER_HEADERS, PARAMETERS
from gateway.http import PROBLEM
from kit.errors import SluiceError

_VERSION: Final = "1.0.0"
"""Of what is offered, and not of the code."""
_TEMPLATE: Final = "#/components/schemas/{model}"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_SECURITY: Final[list[dict[str, list[str]]]] = [{"key": []}, {"bearer": []}]
_SCHEMES: Final = {
    "key": {"type": "apiKey", "in": "header", "name": names.API_KEY},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_TAKEN: Final = (schemas.RawEmail, StructuredEmail, schemas.Batch, schemas.NewFeedback)
_DESCRIPTION: Final = (
    "Raw e-mail in, spam or ham out; and every model of the platform by the Open Inference Protocol. "
    "Requests say where they go by `X-Environment`. Every error is a problem document (RFC 9457) with a "
    "stable `code`."
)


def described(api: FastAPI) -> dict[str, Any]:
    """Returns the OpenAPI document of the routes of `api`."""
    document = get_openapi(
        title="Sluice gateway",
        version=_VERSION,
        description=_DESCRIPTION,
        routes=api.router.routes,
    )
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            methods[method] = _described(
                found["operationId"], path, found["description"].partition("\n\n")[0]
            )
    document["components"] = {
        "headers": ANSWER_HEADERS,
        "parameters": PARAMETERS,
        "schemas": _schemas(),
        "securitySchemes": _SCHEMES,
    }
    return document


def _described(name: str, path: str, sentence: str) -> dict[str, Any]:
    operation = OPERATIONS[name]
    wanted = ["request", "traceparent", *operation.parameters]
    if operation.key and name != "metrics":
        wanted.append("timeout")
    if operation.model:
        wanted.append("environment")
    wanted += [found for found in _PATH_PARAMETER.findall(path) if found not in wanted]
    told: dict[str, Any] = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": sentence,
        "parameters": [{"$ref": f"#/components/parameters/{each}"} for each in wanted],
        "responses": {"200": _answer(operation)} | _problems(operation),
        "security": _SECURITY if operation.key else [],
    }
    if name == "metrics":
        told["security"] = [*_SECURITY, {}]
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": operation.body}
    return told


def _answer(operation: Operation) -> dict[str, Any]:
    schema: Mapping[str, Any] = (
        operation.answer
        if isinstance(operation.answer, Mapping)
        else {"$ref": _TEMPLATE.format(model=operation.answer.__name__)}
    )
    content: dict[str, Any] = {"schema": schema}
    if operation.example is not None:
        content["example"] = operation.example
    headers = [names.REQUEST_ID]
    if operation.key and operation.media != "text/plain":
        headers += ["RateLimit", "RateLimit-Policy"]
    if operation.model:
        headers += [ENVIRONMENT_HEADER, names.MODEL_VERSION]
    return {
        "description": "The answer.",
        "headers": {header: _header(header) for header in headers},
        "content": {operation.media: content}
        | ({"application/octet-stream": {"schema": _BYTES}} if _is_inference(operation) else {}),
    }


_BYTES: Final = {"type": "string", "format": "binary"}


def _is_inference(operation: Operation) -> bool:
    return operation.body is not None and "application/octet-stream" in operation.body


def _problems(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[type[SluiceError]]] = defaultdict(list)
    for error in operation.errors:
        by_status[error.status].append(error)
    return {
        str(status): {
            "description": "; ".join(f"`{error.code}`: {_sentence(error)}" for error in found),
            "headers": {
                header: _header(header)
                for header in (
                    names.REQUEST_ID,
                    *(("Retry-After",) if status in {429, 502, 503, 504} else ()),
                )
            },
            "content": {PROBLEM: {"schema": {"$ref": _TEMPLATE.format(model=schemas.Problem.__name__)}}},
        }
        for status, found in sorted(by_status.items())
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _sentence(error: type[SluiceError]) -> str:
    return error.title[:1].lower() + error.title[1:]


def _schemas() -> dict[str, Any]:
    given: set[type[BaseModel]] = {schemas.Problem}
    for operation in OPERATIONS.values():
        if not isinstance(operation.answer, Mapping):
            given.add(operation.answer)
    modes: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = []
    modes += [(model, "validation") for model in _TAKEN]
    modes += [(model, "serialization") for model in sorted(given, key=lambda model: model.__name__)]
    _, found = models_json_schema(modes, ref_template=_TEMPLATE)
    definitions: dict[str, Any] = found["$defs"]
    # A field may be left out, and not all of them.
    definitions["StructuredEmail"]["minProperties"] = 1
    return dict(sorted(definitions.items()))
