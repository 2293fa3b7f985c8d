from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from polydraft.completion.switching import POLICIES, Thresholds
from polydraft.lsp_server import setting_rules
from polydraft.lsp_server.client_options import parse_options
from polydraft.lsp_server.setting_rules import MONITORS, THRESHOLDS
from polydraft.lsp_server.settings import RULES, ModelSettings, Settings, Switching, merged, parse
from polydraft.lsp_server.settings_file import read_file, without_untrusted_models
from polydraft.lsp_server.workspace_settings import WorkspaceSettings

VALID = {
    "model": "big",
    "device": "cuda:1",
    "weights": "bf16",
    "large": "bigger",
    "large_device": "cpu",
    "large_weights": "int8",
    "policy": "ead",
    "thresholds": {"entropy": 2, "window": 3},
    "memory_gb": 7.5,
    "drafter": "beam",
    "guesser": "recycling",
    "k": 8,
    "prompt_tokens": 64,
    "new_tokens": 1,
    "deadline_ms": 50,
    "automatic": False,
    "speculate": False,
    "metrics": True,
    "multiline": "never",
    "languages_off": ["markdown"],
    "quiet_in": ["comments"],
    "exclude": ["/gen/", "*.min.js"],
    "monitors": ["dereference"],
    "strictness": "soft",
    "analysers": {"python": "none"},
    "max_file_size": 10,
}
WRONG = {
    "model": ["", 3],
    "device": ["gpu", 1, "cuda:"],
    "weights": ["int3", 8],
    "large": ["", 3],
    "large_device": ["gpu"],
    "large_weights": ["int3"],
    "policy": ["best", 1],
    "thresholds": [3, "entropy", [1]],
    "memory_gb": [0, -1, "much", True, float("inf")],
    "drafter": ["best", 1],
    "guesser": ["luck", 1],
    "k": [0, 9, "3", True, 2.5],
    "prompt_tokens": [1],
    "new_tokens": [0],
    "deadline_ms": [-1],
    "automatic": ["yes", 1],
    "speculate": ["no", 0],
    "metrics": ["on", 1],
    "multiline": [True, "sometimes", []],
    "languages_off": ["python", [1]],
    "quiet_in": ["docstrings", ["docstrings"]],
    "exclude": [["!"], "x"],
    "monitors": ["dereference", ["everything"], 1],
    "strictness": ["strict", 1],
    "analysers": [3, "jedi", ["jedi"]],
    "max_file_size": [0],
}


def never(_: str) -> bool:
    return False


def test_every_setting_can_be_set_and_has_wrong_values() -> None:
    assert VALID.keys() == WRONG.keys() == RULES.keys()
    parsed = parse(VALID, "here")
    assert parsed.problems == ()
    assert merged([parsed.values]) == Settings(
        **{
            **VALID,
            "languages_off": ("markdown",),
            "quiet_in": ("comments",),
            "exclude": ("/gen/", "*.min.js"),
            "thresholds": (("entropy", 2), ("window", 3)),
            "monitors": ("dereference",),
            "analysers": (("python", "none"),),
        }
    )


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, all_ in WRONG.items() for v in all_])
def test_a_wrong_value_is_named_with_what_is_expected_and_ignored(key: str, value: object) -> None:
    parsed = parse({key: value}, "here")
    assert parsed.values == {}
    (problem,) = parsed.problems
    assert problem.startswith(f'here: "{key}" must be {RULES[key].expects}, not ')


def test_an_unknown_setting_is_named_with_its_nearest_neighbour() -> None:
    (problem,) = parse({"modle": "x"}, "here").problems
    assert problem == (
        'here: unknown setting "modle". Did you mean "model", which takes the name of a model?'
    )
    (problem,) = parse({"zzz": 1}, "here").problems
    assert problem.startswith('here: unknown setting "zzz". Known settings: analysers, ')


def test_camel_case_is_the_same_setting_and_null_is_not_set() -> None:
    assert parse({"newTokens": 5, "deadlineMs": 60}, "").values == {
        "new_tokens": 5,
        "deadline_ms": 60,
    }
    assert parse({"k": None, "trace": {"server": "off"}}, "").values == {}
    assert parse(None, "").problems == ()
    assert parse([1], "here").problems == ("here: expected a table of settings, not [1].",)


def test_the_stronger_layer_wins_key_by_key() -> None:
    assert merged([{"k": 1}, {"k": 2, "new_tokens": 9}]) == Settings(k=1, new_tokens=9)


def test_a_broken_or_odd_file_is_a_problem_and_never_an_error(tmp_path: Path) -> None:
    file = tmp_path / "polydraft.toml"
    assert read_file(file).problems == ()
    for content, said in [
        (b"k = ", "not valid TOML"),
        (b"\xff", "not valid TOML"),
        (b"#" * 70_000, "larger than 64 KiB"),
        (b"a = " + b"[" * 20_000, "not valid TOML"),
    ]:
        file.write_bytes(content)
        (problem,) = read_file(file).problems
        assert problem.startswith("polydraft.toml: ") and said in problem
    file.unlink()
    os.mkfifo(file)  # reading it would block for ever
    assert read_file(file).values == {}


def test_exclude_patterns_are_relative_to_the_workspace() -> None:
    settings, root = Settings(exclude=("/gen/", "*.min.js")), Path("/w")
    assert settings.excludes(root / "gen" / "x.py", root)
    assert settings.excludes(root / "a" / "b.min.js", root)
    assert not settings.excludes(root / "src" / "gen" / "x.py", root)
    assert settings.excludes(Path("/elsewhere/b.min.js"), root)
    assert not Settings().excludes(root / "x", root)


# --- two models ---


def test_the_names_of_policies_and_thresholds_are_those_of_the_engine() -> None:
    assert setting_rules.POLICIES == POLICIES
    assert set(THRESHOLDS) == {each.name for each in fields(Thresholds)}
    for name, rule in THRESHOLDS.items():
        assert rule.accepts(getattr(Thresholds(), name)), name


def test_a_wrong_threshold_is_named_and_the_others_hold() -> None:
    parsed = parse({"thresholds": {"entropie": 1, "window": 0, "confidence": 0.3}}, "here")
    assert parsed.values == {"thresholds": {"confidence": 0.3}}
    unknown, wrong = parsed.problems
    assert unknown == (
        'here: unknown setting "thresholds.entropie". Did you mean "thresholds.entropy", which '
        "takes a number from 0?"
    )
    assert wrong == (
        'here: "thresholds.window" must be an integer from 1 to 512, not 0. The setting is ignored.'
    )


def test_thresholds_may_be_in_camel_case_and_the_stronger_layer_wins_key_by_key() -> None:
    editor = parse({"thresholds": {"entropyReturn": 0.5, "gate": 1}}, "")
    file = parse({"thresholds": {"gate": 2, "stay": 4}}, "")
    assert merged([editor.values, file.values]).thresholds == (
        ("entropy_return", 0.5),
        ("gate", 1),
        ("stay", 4),
    )


def test_thresholds_that_contradict_each_other_are_told_and_the_defaults_hold() -> None:
    settings = WorkspaceSettings(never, options=parse_options({"thresholds": {"entropy": 0.5}}))
    settings.reread()
    (problem,) = settings.problems
    assert "entropy_return (1.0) must not be above entropy (0.5)" in problem
    assert settings.current.thresholds == ()


def test_the_settings_name_a_pair_only_if_a_large_model_would_be_asked() -> None:
    assert Settings().large_settings is None
    assert Settings(large="big", policy="small").large_settings is None
    settings = Settings(
        large="big", large_device="cpu", policy="ead", thresholds=(("stay", 2),), memory_gb=2
    )
    assert settings.models.large == ModelSettings("big", "cpu")
    assert settings.models.switching == Switching("ead", (("stay", 2),))
    assert settings.models.memory_bytes == 2_000_000_000
    assert Settings().models.memory_bytes is None


@pytest.mark.parametrize(
    ("values", "ready", "kept"),
    [
        ({"model": "big", "k": 2}, {"big"}, {"model": "big", "k": 2}),
        ({"model": "big", "k": 2}, set(), {"k": 2}),
        ({"model": "./big"}, {"./big"}, {}),
        ({"model": "org/big"}, {"org/big"}, {}),
        ({"model": "..\\big"}, {"..\\big"}, {}),
        ({"device": "cpu"}, {"small"}, {"device": "cpu"}),
        ({"device": "cpu"}, set(), {}),
        ({"large": "big"}, {"big"}, {"large": "big"}),
        ({"large": "big", "large_device": "cuda", "policy": "ead"}, {"small"}, {"policy": "ead"}),
        ({"large": "./big"}, {"./big"}, {}),
        ({"large_device": "cpu"}, {"large"}, {"large_device": "cpu"}),
        ({"large_device": "cpu"}, {"small"}, {}),
        ({"large": "none", "large_device": "cpu"}, set(), {"large": "none", "large_device": "cpu"}),
        ({"model": "big", "large": "big"}, {"big"}, {"model": "big", "large": "big"}),
    ],
)
def test_an_untrusted_file_may_only_choose_a_model_that_is_here(
    values: dict[str, object], ready: set[str], kept: dict[str, object]
) -> None:
    base = Settings(model="small", large="large")
    result = without_untrusted_models(parse(values, "polydraft.toml"), base, ready.__contains__)
    assert result.values == kept
    assert bool(result.problems) == (kept != values)
    for problem in result.problems:
        assert "not trusted" in problem


def test_a_workspace_that_sets_no_large_model_may_say_where_none_runs(tmp_path: Path) -> None:
    (tmp_path / "polydraft.toml").write_text('large_device = "cuda"\n')
    settings = WorkspaceSettings(never, tmp_path)
    settings.reread()
    assert (settings.problems, settings.current.large_device) == ((), "cuda")


def test_editor_over_options_over_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "polydraft.toml").write_text("k = 2\nnew_tokens = 2\ndeadline_ms = 200\n")
    settings = WorkspaceSettings(never, tmp_path, parse_options({"k": 4, "new_tokens": 4}))
    settings.reread()
    settings.configure({"k": 5})
    assert settings.problems == ()
    assert settings.current == Settings(k=5, new_tokens=4, deadline_ms=200)


def test_trust_and_streaming_come_with_the_options_only() -> None:
    options = parse_options({"trusted": True, "stream": "yes"})
    assert options.settings.problems == ('initializationOptions: "stream" must be true or false.',)
    assert (options.trusted, options.stream, options.calls) == (True, False, False)
    settings = WorkspaceSettings(never)
    settings.configure({"trusted": True})
    (problem,) = settings.problems
    assert 'unknown setting "trusted"' in problem


def test_a_trusted_workspace_may_name_any_model(tmp_path: Path) -> None:
    (tmp_path / "polydraft.toml").write_text('model = "org/big"\n')
    for trusted, model in [(True, "org/big"), (False, Settings().model)]:
        settings = WorkspaceSettings(never, tmp_path, parse_options({"trusted": trusted}))
        settings.reread()
        assert settings.current.model == model


def test_a_model_that_the_provider_has_never_heard_of_is_not_here(tmp_path: Path) -> None:
    def unheard_of(name: str) -> bool:
        raise KeyError(name)

    (tmp_path / "polydraft.toml").write_text('model = "nonsense"\n')
    settings = WorkspaceSettings(unheard_of, tmp_path)
    settings.reread()
    (problem,) = settings.problems
    assert "not in the cache" in problem


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    settings = WorkspaceSettings(never, tmp_path)
    settings.poll()
    assert settings.problems == ()
    file = tmp_path / "polydraft.toml"
    file.write_text("k = 7\nfoo = 1\n")
    settings.poll()
    (problem,) = settings.problems
    assert problem.startswith(f'{tmp_path.name}/polydraft.toml: unknown setting "foo"')
    assert settings.current.k == 7
    settings.configure({"k": 6})
    file.unlink()
    settings.poll()
    assert (settings.problems, settings.current.k) == ((), 6)


def test_the_monitors_of_the_settings_are_those_that_there_are() -> None:
    from polydraft.monitors.monitoring import MONITORS as known

    assert known == MONITORS
