"""The JSON is what docs/json.md says: the same fields, no more and no less."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from polydraft.completion.types import Draft, Finish, Origin, Part, Switch, SwitchEvent
from tests.cli.support import LARGE, Shell, pair_of, write
from tests.fakes import draft

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"
_ROW = re.compile(r"^\| `([^`]+)`( \*)? \| ([a-z ]+?) \|", re.MULTILINE)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
    "null": (type(None),),
}
# What the document describes as a whole, not field by field.
OPAQUE = ("kernels.formats", "models", "compute.gpus", "memory", "passes")


def documented(schema: str) -> dict[str, tuple[str, bool]]:
    """Field -> (type, optional) from the schema's table."""
    section = DOCUMENT.read_text(encoding="utf-8").split(f"\n## {schema}\n")[1].split("\n## ")[0]
    return {field: (kind, bool(star)) for field, star, kind in _ROW.findall(section)}


def fields_of(value: Any, opaque: tuple[str, ...] = (), name: str = "") -> dict[str, Any]:
    """Every leaf and list of a JSON value by its name in the document."""
    if isinstance(value, dict) and name not in opaque:
        found: dict[str, Any] = {}
        for key, item in value.items():
            found |= fields_of(item, opaque, f"{name}.{key}" if name else key)
        return found
    found = {name: value}
    if isinstance(value, list) and name not in opaque:
        for item in value:
            if isinstance(item, dict):
                found |= fields_of(item, opaque, f"{name}[]")
    return found


def check(value: Any, schema: str, opaque: tuple[str, ...] = ()) -> None:
    assert value["schema"] == schema
    wanted, found = documented(schema), fields_of(value, opaque)
    assert wanted, f"no table for {schema}"
    assert found.keys() - wanted.keys() == set()
    assert {name for name in wanted.keys() - found.keys() if not wanted[name][1]} == set()
    for name, item in found.items():
        kinds = [kind.split(" of ")[0] for kind in wanted[name][0].split(" or ")]
        allowed = tuple(type_ for kind in kinds for type_ in _TYPES[kind])
        assert isinstance(item, allowed), f"{name} is {item!r}, not {wanted[name][0]}"
        assert not isinstance(item, bool) or bool in allowed, name


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"{write(tmp_path / 'a.py', 'x = ')}:1:5"


def test_a_completion_has_the_documented_fields(shell: Shell, place: str) -> None:
    shell.completer.write = lambda _: [
        Draft("1😀", -0.25, 2, "superposed", Finish.LINE, 1, (4, 5), (-0.2, -0.3)),
        draft("2"),
    ]
    result = shell("complete", "--json", place)
    assert (result.code, result.err) == (0, "")
    check(result.json, "polydraft.complete/1")
    assert result.json["drafts"][0] == {
        "text": "1😀",
        "replace": 1,
        "outdent": 0,
        "mean_logprob": -0.25,
        "token_count": 2,
        "drafter": "superposed",
        "method": "",
        "finish": "line",
        "token_logprobs": [-0.2, -0.3],
        "checked": False,
        "parts": [],
        "switches": [],
        "interventions": [],
        "problems": [],
    }
    assert result.json["large"] is None
    assert result.json["stats"] == {
        "prompt_tokens": 7,
        "recomputed_tokens": 2,
        "forward_passes": 3,
        "first_draft_ms": 0,
        "total_ms": 0,
        "method": "",
        "method_reason": "",
        "load_ms": 1500,
        "policy": "",
        "escalated": "",
        "large_passes": 0,
        "large_tokens": 0,
        "notice": "",
    }


def test_a_pair_s_completion_tells_who_wrote_what_and_why(shell: Shell, place: str) -> None:
    checked = Draft(
        "1😀23", -0.25, 3, "greedy", Finish.LINE, 0, (4, 5, 6), (-0.2, -0.3, -0.25), "led-beam",
        (Part(Origin.SMALL, 2, 2), Part(Origin.LARGE, 1, 4)),
        (SwitchEvent(Switch.ROLLBACK, 2, "loss (nats)", float("inf"), 2.0),),
        True,
    )  # fmt: skip
    shell.loader.pair_of = pair_of(large=lambda _: [checked, draft("2")])
    result = shell("complete", "--json", "--large", LARGE, place)
    assert (result.code, result.err) == (0, "")
    check(result.json, "polydraft.complete/1")
    assert result.json["model"]["name"] == "qwen2.5-coder-0.5b"
    assert result.json["large"] == {"name": LARGE, "device": "cpu", "weights": "int8"}
    first, second = result.json["drafts"]
    assert first["checked"] is True
    assert first["parts"] == [
        {"origin": "small", "tokens": 2, "end": 2},
        {"origin": "large", "tokens": 1, "end": 4},
    ]
    assert first["switches"] == [
        {
            "kind": "rollback",
            "at": 2,
            "statistic": "loss (nats)",
            "value": None,
            "threshold": 2.0,
        }
    ]
    assert (second["checked"], second["parts"], second["switches"]) == (False, [], [])
    stats = result.json["stats"]
    assert stats["load_ms"] == 3000  # of both
    assert {name: stats[name] for name in ("policy", "escalated", "notice")} == {
        "policy": "bild",
        "escalated": "confidence: 0.10, threshold 0.20",
        "notice": "The large model failed.",
    }
    assert (stats["large_passes"], stats["large_tokens"]) == (2, 5)


def test_a_pair_streams_the_small_model_s_draft_and_then_what_both_made_of_it(
    shell: Shell, place: str
) -> None:
    shell.loader.pair_of = pair_of(small=lambda _: ["draft"], large=lambda _: ["better"])
    first, last = shell("complete", "--json", "--stream", "--large", LARGE, place).lines
    assert (first["draft"]["text"], first["draft"]["checked"]) == ("draft", False)
    assert [each["text"] for each in last["drafts"]] == ["better"]
    last.pop("event")
    check(last, "polydraft.complete/1")


def test_the_example_in_the_document_adds_up() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## polydraft.complete/1\n")[1]
    example = json.loads(section.split("```json\n")[1].split("```")[0])
    for each in example["drafts"]:
        assert sum(part["tokens"] for part in each["parts"]) == each["token_count"]
        assert each["parts"][-1]["end"] == len(each["text"])
        assert len(each["token_logprobs"]) == each["token_count"]
        assert each["mean_logprob"] == pytest.approx(
            sum(each["token_logprobs"]) / each["token_count"], abs=1e-6
        )


def test_every_kind_of_switch_and_both_origins_are_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"`{kind.value}`" in text for kind in (*Switch, *Origin))


def test_the_example_in_the_document_is_a_completion() -> None:
    section = DOCUMENT.read_text(encoding="utf-8").split("\n## polydraft.complete/1\n")[1]
    example = section.split("```json\n")[1].split("```")[0]
    check(json.loads(example), "polydraft.complete/1")


def test_every_reason_to_end_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"`{finish.value}`" in text for finish in Finish)


def test_a_stream_is_a_draft_and_then_the_whole_answer(shell: Shell, place: str) -> None:
    shell.completer.write = lambda _: ["1", "2"]
    first, last = shell("complete", "--json", "--stream", place).lines
    assert (first["schema"], first["event"]) == ("polydraft.complete/1", "draft")
    assert first["draft"] == last["drafts"][0]
    assert last.pop("event") == "completion"
    check(last, "polydraft.complete/1")


def test_json_has_no_infinity(shell: Shell, place: str) -> None:
    never = Draft("1", float("-inf"), 1, "greedy", Finish.LINE, 0, (4,), (float("-inf"),))
    shell.completer.write = lambda _: [never]
    (found,) = shell("complete", "--json", place).json["drafts"]
    assert (found["mean_logprob"], found["token_logprobs"]) == (None, [None])


def test_the_list_of_models_has_the_documented_fields(shell: Shell) -> None:
    check(shell("models", "list", "--json").json, "polydraft.models/1")


def test_what_is_known_about_a_model_has_the_documented_fields(shell: Shell) -> None:
    check(shell("models", "info", "--json", "qwen2.5-coder-0.5b").json, "polydraft.model/1")


def test_a_diagnosis_has_the_documented_fields(shell: Shell) -> None:
    check(shell("doctor", "--json").json, "polydraft.doctor/1", OPAQUE)


@pytest.mark.parametrize(
    ("arguments", "schema"),
    [
        (("complete", "nowhere.py:1:1", "--json"), "polydraft.complete/1"),
        (("models", "info", "nothing", "--json"), "polydraft.model/1"),
        (("models", "list", "--json", "--wrong"), "polydraft.models/1"),
        (("doctor", "--json", "--wrong"), "polydraft.doctor/1"),
    ],
)
def test_errors_name_the_schema_of_their_command(
    shell: Shell, arguments: tuple[str, ...], schema: str
) -> None:
    result = shell(*arguments)
    assert result.code in (1, 2)
    assert result.json.keys() == {"schema", "error"}
    assert result.json["schema"] == schema
    assert isinstance(result.json["error"]["message"], str)
