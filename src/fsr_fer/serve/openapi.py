"""The OpenAPI document of the service."""

from collections.abc import Sequence
from importlib import metadata
from typing import Any

from fsr_fer.common.settings import FULL_SIZE
from fsr_fer.predict.model_file import Card
from fsr_fer.predict.results import SMALLEST_FACE, Box
from fsr_fer.serve.form import FIELDS, LARGEST_MIN_FACE, Limits

ERROR = {"$ref": "#/components/schemas/Error"}
NUMBER = {"type": ["number", "null"]}
REFUSALS = {
    "400": "The form cannot be read.",
    "403": "The request comes from another site's page, or asks for another host.",
    "408": "It was not received and answered in time.",
    "413": "Too many bytes, pictures, pixels or faces.",
    "415": "It is no form.",
    "422": "The form has something that makes no sense.",
    "429": "Too many requests at a time.",
    "500": "The model is damaged.",
    "503": "The service was ended meanwhile.",
}


def describe(card: Card, limits: Limits, model_card: bool) -> dict[str, Any]:
    """The document for a model, OpenAPI 3.1."""
    card_text = _get("The model card, Markdown.", "text/plain", "string")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fsr-fer serve",
            "version": metadata.version("fsr-fer"),
            "description": (
                "Expressions of small faces as annotators named them, not what somebody feels. "
                "For research and teaching. Nothing is stored."
            ),
        },
        "servers": [{"url": "."}],  # where this document lies, also behind a proxy's prefix
        "paths": {
            "/predict": {"post": _predict(card, limits)},
            "/model": {"get": _get("The model, its expected accuracy by size, and the limits.")},
            "/health": {"get": _get("Whether the service is up.")},
            **({"/card": {"get": card_text}} if model_card else {}),
        },
        "components": {"schemas": _schemas(card)},
    }


def _predict(card: Card, limits: Limits) -> dict[str, Any]:
    form = {
        "pictures": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "minItems": 1,
            "maxItems": limits.pictures,
            "description": "Files: a face fills it, boxes say where, or faces are looked for.",
        },
        "boxes": {
            "type": "array",
            "items": {"type": "string", "examples": ["[[30, 40, 20, 20]]", "null"]},
            "description": "For each picture a JSON list of [x, y, width, height], or null.",
        },
        "faces": {
            "enum": ["auto", "crops", "detect"],
            "description": "crops: each picture is one face; auto: those up to 200 pixels are.",
        },
        "pixels": {
            "type": "integer",
            "minimum": card.smallest_pixels,
            "maximum": FULL_SIZE,
            "description": "Predict every face also downsampled to this side.",
        },
        "min_face": {
            "type": "integer",
            "minimum": SMALLEST_FACE,
            "maximum": LARGEST_MIN_FACE,
            "description": "Pixels of the smallest face to look for where there are no boxes.",
        },
    }
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}
    answers = {"200": _answer("A row for each face.", _object({"predictions": rows}))}
    answers |= {status: _answer(text, ERROR) for status, text in REFUSALS.items()}
    return {
        "summary": "Predict the expressions of faces.",
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": _object(form, FIELDS[1:])}},
        },
        "responses": answers,
    }


def _schemas(card: Card) -> dict[str, Any]:
    label = {"enum": [*card.class_names, None]}
    read = {
        "label": label,
        "probability": NUMBER,
        "uncertain": {"type": ["boolean", "null"]},
        "expected_accuracy": NUMBER,
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    face = {"type": "string", "description": "The small face, a PNG as a data: address."}
    plain = _object({"label": label, "probability": NUMBER})
    plain["description"] = "The prediction of a network trained on full-size faces alone."
    small = {"pixels": {"type": "integer"}, **read, "plain": _or_null(plain), "face": face}
    prediction = {
        "input": {"type": "integer", "minimum": 1},
        "source": {"type": "string"},
        "frame": {"type": "null", "description": "Of videos, which the command reads."},
        "seconds": {"type": "null"},
        "status": {"type": "string"},
        "box": _or_null(_object(dict.fromkeys(Box._fields, NUMBER))),
        "score": NUMBER,
        "pixels": {"type": ["integer", "null"]},
        **read,
        "message": {"type": "string"},
        "downsampled": _or_null(_object(small)),
    }
    return {
        "Prediction": _object(prediction, optional=["downsampled"]),
        "Error": _object({"error": {"type": "string"}}),
    }


def _object(properties: dict[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    needed = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": needed}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _answer(
    description: str, schema: dict[str, Any], kind: str = "application/json"
) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _get(summary: str, kind: str = "application/json", form: str = "object") -> dict[str, Any]:
    answers = {
        "200": _answer(summary, {"type": form}, kind),
        "403": _answer(REFUSALS["403"], ERROR),
    }
    return {"summary": summary, "responses": answers}
