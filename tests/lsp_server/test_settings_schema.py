"""The JSON Schema against the rules by which settings are read."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polydraft.lsp_server.settings import PRIVATE, RULES, parse
from polydraft.lsp_server.settings_schema import schema
from tests.lsp_server.test_settings import VALID, WRONG

SCHEMA = schema()
# No schema can say which patterns are right, and JSON has no infinity.
WRONG_PAIRS = [
    (name, value)
    for name, values in WRONG.items()
    for value in values
    if value != float("inf") and not (name == "exclude" and isinstance(value, list))
]


def fits(values: object) -> bool:
    return jsonschema.Draft7Validator(SCHEMA).is_valid(values)


def test_it_is_a_schema_and_has_all_settings_whose_defaults_fit() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(RULES) - PRIVATE
    assert fits({name: one["default"] for name, one in SCHEMA["properties"].items()})


@pytest.mark.parametrize(
    ("name", "value"), [each for each in VALID.items() if each[0] not in PRIVATE]
)
def test_what_is_read_fits(name: str, value: object) -> None:
    assert fits({name: value})


@pytest.mark.parametrize(("name", "value"), WRONG_PAIRS)
def test_what_is_refused_does_not_fit(name: str, value: object) -> None:
    assert not fits({name: value})


@given(
    st.sampled_from([name for name in RULES if name not in {"exclude", *PRIVATE}]),
    st.none()
    | st.booleans()
    | st.integers(-2, 40_000)
    | st.floats(-2, 40, allow_nan=False).filter(lambda number: not number.is_integer())
    | st.sampled_from(["auto", "cpu", "cuda:1", "cuda:", "none", "bild", "", " ", "always"])
    | st.lists(st.sampled_from(["comments", "dereference", "python", ""]), max_size=2)
    | st.dictionaries(
        st.sampled_from(["python", "entropy", "stay"]),
        st.sampled_from([0.5, 2, "jedi"]),
        max_size=2,
    ),
)
def test_the_schema_and_the_rules_agree(name: str, value: object) -> None:
    if value is None:  # which an editor sends for "not set", and TOML cannot say
        return
    assert fits({name: value}) == (not parse({name: value}, "test").problems)
