"""What the command line says as JSON: the schemas of docs/json.md, which the tests hold it to."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polydraft.completion.types import Completion, Draft
    from polydraft.lsp_server.one_shot import ModelInUse
    from polydraft.lsp_server.place import Place

COMPLETE = "polydraft.complete/1"
MODELS = "polydraft.models/1"
MODEL = "polydraft.model/1"
DOCTOR = "polydraft.doctor/1"
CALIBRATE = "polydraft.calibrate/1"
ANALYSERS = "polydraft.analysers/1"
STATS = "polydraft.stats/1"

Json = dict[str, Any]


def completion_json(place: Place, model: ModelInUse, completion: Completion) -> Json:
    """The answer of `polydraft complete --json`."""
    stats = completion.stats
    return {
        "schema": COMPLETE,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "model": _model_json(model),
        "large": None if model.large is None else _model_json(model.large),
        "drafts": [draft_json(draft) for draft in completion.drafts],
        "stats": {
            "prompt_tokens": stats.prompt_tokens,
            "recomputed_tokens": stats.recomputed_tokens,
            "forward_passes": stats.forward_passes,
            "first_draft_ms": _ms(stats.first_draft_s),
            "total_ms": _ms(stats.total_s),
            "method": stats.method,
            "method_reason": stats.method_reason,
            "load_ms": _ms(model.load_s),
            "policy": stats.policy,
            "escalated": stats.escalated,
            "large_passes": stats.large_passes,
            "large_tokens": stats.large_tokens,
            "notice": stats.notice,
        },
    }


def draft_json(draft: Draft) -> Json:
    return {
        "text": draft.text,
        "replace": draft.replace,
        "outdent": draft.outdent,
        "mean_logprob": _number(draft.mean_logprob),
        "token_count": draft.token_count,
        "drafter": draft.drafter,
        "method": draft.method,
        "finish": draft.finish.value,
        "token_logprobs": [_number(value) for value in draft.token_logprobs],
        "checked": draft.checked,
        "parts": [
            {"origin": part.origin.value, "tokens": part.tokens, "end": part.end}
            for part in draft.parts
        ],
        "switches": [
            {
                "kind": event.kind.value,
                "at": event.at,
                "statistic": event.statistic,
                "value": _number(event.value),
                "threshold": _number(event.threshold),
            }
            for event in draft.switches
        ],
        "interventions": [asdict(each) for each in draft.interventions],
        "problems": list(draft.problems),
    }


def _model_json(model: ModelInUse) -> Json:
    return {"name": model.name, "device": model.device, "weights": model.weights}


def draft_event(draft: Draft) -> Json:
    """The first line of `polydraft complete --json --stream`."""
    return {"schema": COMPLETE, "event": "draft", "draft": draft_json(draft)}


def completion_event(place: Place, model: ModelInUse, completion: Completion) -> Json:
    """The last line of `polydraft complete --json --stream`."""
    answer = completion_json(place, model, completion)
    return {"schema": answer.pop("schema"), "event": "completion", **answer}


def schema_of(arguments: Sequence[str]) -> str | None:
    """The schema in which a command line wants its errors; None: as text."""
    if "--json" not in arguments:
        return None
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] == ["models"]:
        return MODEL if words[1:2] == ["info"] else MODELS
    schemas = {"doctor": DOCTOR, "calibrate": CALIBRATE, "analysers": ANALYSERS, "stats": STATS}
    return schemas.get("".join(words[:1]), COMPLETE)


def dumps(value: Json, *, indent: int | None = 2) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return round(value, 6) if math.isfinite(value) else None
