from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from polydraft.completion.types import Origin, Part, Request
from polydraft.lsp_server.settings import ModelSettings, Switching
from polydraft.models.errors import ModelError, PairError
from tests.cli.support import LARGE, Shell, pair_of, write
from tests.fakes import draft


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return write(tmp_path / "a.py", "def area(r):\n    return \n\nprint(area(1))\n")


def test_drafts_stand_at_the_cursor_between_the_lines_of_the_file(shell: Shell, file: Path) -> None:
    shell.completer.write = lambda _: ["3.14 * r", "r * r"]
    result = shell("complete", f"{file}:2:12")
    assert result.code == 0
    drawn = [line for line in result.out.splitlines() if "│" in line]
    assert drawn == [
        "1 │ def area(r):",
        "2 │     return ‹3.14 * r›",
        "3 │ ",
        "4 │ print(area(1))",
        "1 │ def area(r):",
        "2 │     return ‹r * r›",
        "3 │ ",
        "4 │ print(area(1))",
    ]


def test_each_draft_has_a_header_and_the_answer_its_cost(shell: Shell, file: Path) -> None:
    shell.completer.write = lambda _: ["3.14 * r"]
    out = shell("complete", f"{file}:2:12").out
    assert "1  mean log-probability -0.500 · 2 tokens · greedy · ends with the line" in out
    assert "prompt 7 tokens, 2 computed" in out
    assert "3 forward passes" in out
    assert "model loaded in 1.5 s" in out


def test_what_a_draft_replaces_is_marked(shell: Shell, file: Path) -> None:
    shell.completer.write = lambda _: [draft("3)\nx(", replace=2)]
    drawn = shell("complete", f"{file}:4:12").out.splitlines()
    assert "4 │ print(area(‹3)›[-1)-]" in drawn
    assert "  │ ‹x(›)" in drawn


def test_the_model_gets_the_text_around_the_cursor(shell: Shell, file: Path) -> None:
    shell("complete", f"{file}:2:12", "-k", "5", "--max-tokens", "9", "--single-line")
    (request,) = shell.completer.requests
    assert request.prefix == "def area(r):\n    return "
    assert request.suffix == "\n\nprint(area(1))\n"
    assert (request.path, request.language, request.k) == ("a.py", "python", 5)
    assert (request.budget.new_tokens, request.multiline) == (9, False)


def test_line_ends_reach_the_model_as_line_feeds(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"a\r\nb\r\n")
    result = shell("complete", f"{path}:2:2")
    (request,) = shell.completer.requests
    assert (request.prefix, request.suffix) == ("a\nb", "\n")
    assert "\r" not in result.out


def test_the_streamed_draft_comes_first_and_is_drawn_once(shell: Shell, file: Path) -> None:
    shell.completer.write = lambda _: ["one", "two"]
    out = shell("complete", "--stream", f"{file}:2:12").out
    assert out.index("first  mean") < out.index("1  mean")
    assert out.count("‹one›") == 1
    assert "shown above" in out


def test_no_draft_is_no_failure(shell: Shell, file: Path) -> None:
    shell.completer.write = lambda _: []
    result = shell("complete", f"{file}:2:12")
    assert result.code == 0
    assert "nothing to add" in result.out


def test_a_place_in_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write_end = os.pipe()
    os.write(write_end, b"a = \n")
    os.close(write_end)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert shell("complete", "--language", "python", "-:1:5").code == 0
    assert shell.completer.requests[0].prefix == "a = "


# The workspace ----------------------------------------------------------------------------------


def test_settings_come_from_the_nearest_workspace_above(shell: Shell, file: Path) -> None:
    write(file.parent / "polydraft.toml", "k = 2\nnew_tokens = 11\n")
    write(file.parent / "sub/deep/b.py", "x\n")
    shell("complete", f"{file.parent}/sub/deep/b.py:1:2")
    (request,) = shell.completer.requests
    assert (request.k, request.budget.new_tokens, request.path) == (2, 11, "sub/deep/b.py")


def test_the_command_line_stands_over_the_settings(shell: Shell, file: Path) -> None:
    write(file.parent / "polydraft.toml", "k = 2\n")
    shell("complete", "-k", "4", "--model", "starcoder2-3b", "--device", "cpu", f"{file}:1:1")
    assert shell.completer.requests[0].k == 4
    (model,) = shell.loader.loads
    assert (model.name, model.device) == ("starcoder2-3b", "cpu")


def test_a_wrong_setting_is_said_and_does_no_harm(shell: Shell, file: Path) -> None:
    write(file.parent / "polydraft.toml", "kk = 2\n")
    result = shell("complete", f"{file}:1:1")
    assert result.code == 0
    assert 'unknown setting "kk"' in result.err


def test_a_workspace_cannot_name_a_model_that_is_not_here(shell: Shell, file: Path) -> None:
    write(file.parent / "polydraft.toml", 'model = "/tmp/evil"\n')
    result = shell("complete", f"{file}:1:1")
    assert shell.loader.loads[0].name == "qwen2.5-coder-0.5b"
    assert "not trusted" in result.err


def test_an_imported_file_of_the_workspace_is_context(shell: Shell, file: Path) -> None:
    write(file.parent / "shapes.py", "def circle_area(radius):\n    return radius * radius\n")
    write(file.parent / "b.py", "from shapes import circle_area\n\nradius = circle_area(2)\n")
    shell("complete", f"{file.parent}/b.py:3:5")
    assert [chunk.path for chunk in shell.completer.requests[0].context] == ["shapes.py"]


@pytest.mark.parametrize("name", [".env", "ignored.py", "private.py", "id_rsa", "settings_out.py"])
def test_excluded_and_secret_files_are_refused(shell: Shell, file: Path, name: str) -> None:
    write(file.parent / ".gitignore", "ignored.py\n")
    write(file.parent / ".polydraftignore", "private.py\n")
    write(file.parent / "polydraft.toml", 'exclude = ["settings_out.py"]\n')
    write(file.parent / name, "TOKEN = 1\n")
    result = shell("complete", f"{file.parent / name}:1:1")
    assert result.code == 1
    assert f"does not read {name}" in result.err
    assert not shell.completer.requests


def test_a_file_above_the_size_limit_is_refused(shell: Shell, file: Path) -> None:
    write(file.parent / "polydraft.toml", "max_file_size = 10\n")
    result = shell("complete", f"{file}:1:1")
    assert result.code == 1
    assert "max_file_size allows 10" in result.err


# Failures ---------------------------------------------------------------------------------------


def test_no_place_and_a_place_beside_the_demo_are_wrong_usage(shell: Shell, file: Path) -> None:
    assert shell("complete").code == 2
    assert shell("complete", "--demo", f"{file}:1:1").code == 2


def test_missing_files_directories_and_binaries_are_told_apart(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "data.py").write_bytes(b"a\0b")
    (tmp_path / "latin.py").write_bytes("é".encode("latin-1"))
    for name, says in {
        "none.py": "no such file",
        "": "is a directory",
        "data.py": "binary",
        "latin.py": "not UTF-8",
    }.items():
        result = shell("complete", f"{tmp_path / name}:1:1")
        assert (result.code, result.out) == (1, "")
        assert says in result.err
        assert "Traceback" not in result.err


def test_an_unknown_model_names_the_close_ones(shell: Shell, file: Path) -> None:
    result = shell("complete", "--model", "qwen2.5-coder-0.5", f"{file}:1:1")
    assert result.code == 1
    assert "Did you mean qwen2.5-coder-0.5b" in result.err


@pytest.mark.parametrize(
    "arguments", [("-k", "0"), ("-k", "17"), ("-k", "x"), ("--device", "tpu"), ("--nothing",)]
)
def test_wrong_options_are_wrong_usage(
    shell: Shell, file: Path, arguments: tuple[str, ...]
) -> None:
    result = shell("complete", *arguments, f"{file}:1:1")
    assert (result.code, result.out) == (2, "")
    assert result.err
    as_json = shell("complete", "--json", *arguments, f"{file}:1:1")
    assert as_json.code == 2
    assert as_json.json["schema"] == "polydraft.complete/1"
    assert as_json.json["error"]["message"]


def test_a_failing_model_is_one_paragraph(shell: Shell, file: Path) -> None:
    shell.loader.error = ModelError("The cached model is damaged. Fetch it anew.")
    result = shell("complete", f"{file}:1:1")
    assert (result.code, result.err) == (
        1,
        "polydraft: The cached model is damaged. Fetch it anew.\n",
    )


def test_an_error_is_json_where_json_is_asked_for(shell: Shell, file: Path) -> None:
    shell.loader.error = ModelError("Damaged.")
    result = shell("complete", "--json", f"{file}:1:1")
    assert (result.code, result.err) == (1, "")
    assert result.json == {"schema": "polydraft.complete/1", "error": {"message": "Damaged."}}


def test_a_full_disk_is_no_traceback(shell: Shell, file: Path) -> None:
    cache = Path(os.environ["POLYDRAFT_CACHE"])
    shell.loader.error = OSError(28, "No space left on device", str(cache / "models/x"))
    result = shell("complete", f"{file}:1:1")
    assert result.code == 1
    assert "No space left on device" in result.err
    assert "POLYDRAFT_CACHE" in result.err


def test_a_bug_is_reported_without_a_traceback_unless_debugging(
    shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.completer.error = RuntimeError("oops")
    result = shell("complete", f"{file}:1:1")
    assert result.code == 1
    assert "RuntimeError: oops" in result.err
    assert "POLYDRAFT_DEBUG=1" in result.err
    monkeypatch.setenv("POLYDRAFT_DEBUG", "1")
    with pytest.raises(RuntimeError, match="oops"):
        shell("complete", f"{file}:1:1")


def test_an_interrupted_download_says_that_it_goes_on(shell: Shell, file: Path) -> None:
    shell.loader.stages = (("download", 0, 100), ("download", 10, 100))
    shell.loader.error = KeyboardInterrupt()
    result = shell("complete", f"{file}:1:1")
    assert result.code == 130
    assert "What was downloaded is kept" in result.err


def test_an_interrupted_completion_ends_with_130(shell: Shell, file: Path) -> None:
    def interrupted(request: Request) -> list[str]:
        raise KeyboardInterrupt

    shell.completer.write = interrupted
    assert shell("complete", f"{file}:1:1").code == 130


def test_a_first_download_says_whose_packaging_it_is(shell: Shell, file: Path) -> None:
    shell.loader.stages = (("download", 0, 491_400_064), ("verify", 0, 1), ("convert", 0, 1))
    err = shell("complete", f"{file}:1:1").err
    assert "third party's packaging" in err
    assert "Downloading qwen2.5-coder-0.5b (491 MB) ..." in err
    assert "Checking" in err and "Converting" in err


# A pair -----------------------------------------------------------------------------------------

SMALL = "qwen2.5-coder-0.5b"


def test_the_large_model_and_the_policy_reach_the_loader_and_the_pair(
    shell: Shell, file: Path
) -> None:
    result = shell("complete", "--large", LARGE, "--policy", "spec", f"{file}:2:12")
    assert result.code == 0
    assert shell.loader.loads == [ModelSettings(SMALL), ModelSettings(LARGE)]
    assert shell.loader.pairs == [(SMALL, LARGE, Switching("spec"))]
    assert "‹large›" in result.out and "‹small›" not in result.out


def test_without_a_policy_the_pair_has_the_default_one(shell: Shell, file: Path) -> None:
    shell("complete", "--large", LARGE, f"{file}:2:12")
    assert shell.loader.pairs == [(SMALL, LARGE, Switching("bild"))]


def test_a_workspace_s_pair_is_used_with_its_thresholds_and_its_memory(
    shell: Shell, file: Path
) -> None:
    write(
        file.parent / "polydraft.toml",
        'policy = "ead"\nmemory_gb = 3\n[thresholds]\nstay = 2\nentropy = 4\n',
    )
    shell("complete", "--large", LARGE, f"{file}:2:12")
    assert shell.loader.pairs == [(SMALL, LARGE, Switching("ead", (("entropy", 4), ("stay", 2))))]
    assert shell.loader.budgets == [3_000_000_000] * 2


def test_the_small_policy_loads_no_large_model_and_a_policy_alone_needs_none(
    shell: Shell, file: Path
) -> None:
    for arguments in (("--large", LARGE, "--policy", "small"), ("--policy", "large")):
        shell.loader.loads.clear()
        assert shell("complete", *arguments, f"{file}:2:12").code == 0
        assert shell.loader.loads == [ModelSettings(SMALL)]
    assert shell.loader.pairs == []


@pytest.mark.parametrize("name", ["", "fast", "SPEC", "specs"])
def test_a_wrong_policy_is_wrong_usage_and_the_right_ones_are_named(
    shell: Shell, file: Path, name: str
) -> None:
    result = shell("complete", "--large", LARGE, "--policy", name, f"{file}:1:1")
    assert (result.code, result.out) == (2, "")
    assert '--policy must be one of "ead", "bild", "spec", "cascade"' in result.err
    assert repr(name) in result.err
    assert shell.loader.loads == []


def test_an_unknown_large_model_is_told_before_anything_is_loaded(shell: Shell, file: Path) -> None:
    result = shell("complete", "--large", "qwen2.5-coder-1.5", f"{file}:1:1")
    assert result.code == 1
    assert "Did you mean qwen2.5-coder-1.5b" in result.err
    assert shell.loader.loads == []


def test_one_model_as_both_is_refused_before_anything_is_loaded(shell: Shell, file: Path) -> None:
    result = shell("complete", "--large", SMALL, f"{file}:1:1")
    assert result.code == 1
    assert f"{SMALL} is both the small and the large model" in result.err
    assert shell.loader.loads == []


def test_models_that_cannot_work_together_are_one_paragraph(shell: Shell, file: Path) -> None:
    shell.loader.pair_error = PairError("Their tokenizers differ.", 7)
    result = shell("complete", "--large", LARGE, f"{file}:1:1")
    assert (result.code, result.err) == (1, "polydraft: Their tokenizers differ.\n")


def test_the_terminal_says_who_judges_why_it_was_asked_and_what_went_wrong(
    shell: Shell, file: Path
) -> None:
    out = shell("complete", "--large", LARGE, f"{file}:2:12").out
    assert f"{SMALL} on cpu, int8 weights; checked by {LARGE} on cpu, int8 weights" in out
    assert "2 of the large model" in out
    assert "asked it because of confidence: 0.10, threshold 0.20" in out
    assert "model loaded in 3.0 s" in out
    assert "The large model failed." in out


def test_one_model_alone_says_nothing_of_another(shell: Shell, file: Path) -> None:
    out = shell("complete", f"{file}:2:12").out
    assert "checked" not in out and "large" not in out and "asked" not in out
    assert "wrote:" not in out


def test_provenance_is_told_of_a_draft_that_was_streamed_too(shell: Shell, file: Path) -> None:
    told = replace(draft("same"), parts=(Part(Origin.SMALL, 1, 4),), checked=True)
    shell.loader.pair_of = pair_of(small=lambda _: ["same"], large=lambda _: [told])
    out = shell("complete", "--stream", "--large", LARGE, f"{file}:2:12").out
    assert out.count("‹same›") == 1
    assert "shown above" in out
    assert "wrote: small 1 · checked" in out
