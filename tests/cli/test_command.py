"""The command as a process: what it imports, what it prints, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.support import Shell, write

COMMAND = [sys.executable, "-I", "-m", "polydraft.lsp_server"]
COMMANDS = ("complete", "serve", "calibrate", "doctor", "models")


def polydraft(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env=os.environ | variables,
    )


def test_version_and_help_need_no_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from polydraft.lsp_server.cli import run\n"
        "codes = [run(a) for a in (['--version'], ['--help'], ['complete', '--help'])]\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pygls', 'lsprotocol'} & set(sys.modules)\n"
        "sys.exit(f'{codes} {heavy}' if heavy or any(codes) else 0)\n"
    )
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"polydraft {version('polydraft')}\n" in result.stdout


def test_a_wrong_place_is_told_without_loading_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from polydraft.lsp_server.cli import run\n"
        f"assert run(['complete', {str(tmp_path / 'none.py')!r} + ':1:1']) == 1\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], capture_output=True).returncode == 0


def test_help_names_every_command_with_an_example(shell: Shell) -> None:
    out = shell("--help").out
    for command in COMMANDS:
        assert f"polydraft {command}" in " ".join(out.replace("│", " ").split())
        assert shell(command, "--help").code == 0


def test_a_pipe_that_closes_early_is_no_traceback() -> None:
    process = subprocess.Popen(
        [*COMMAND, "models", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.wait(60)
    process.stderr.close()
    assert b"Traceback" not in errors


def test_an_output_without_unicode_gets_question_marks(tmp_path: Path) -> None:
    result = polydraft("complete", f"{tmp_path}/é😀.py:1:1", PYTHONIOENCODING="ascii")
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr


# serve ------------------------------------------------------------------------------------------


def test_serve_speaks_the_protocol_over_the_standard_streams() -> None:
    def message(**fields: object) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", **fields}).encode()
        return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    process = subprocess.run(
        [*COMMAND, "serve"],
        input=message(id=1, method="initialize", params={"capabilities": {}, "processId": None})
        + message(id=2, method="shutdown")
        + message(method="exit"),
        capture_output=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(b"Content-Length: ")
    assert b'"name":"polydraft"' in process.stdout.replace(b'": "', b'":"')
    assert b"Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--stdio", "--tcp", "127.0.0.1:0"), 2, "Choose one"),
        (("--tcp", "8765"), 2, "HOST:PORT"),
        (("--tcp", "127.0.0.1:99999"), 2, "HOST:PORT"),
        (("--tcp", "0.0.0.0:0"), 1, "Refusing"),
        (("--ws", "0.0.0.0:0"), 1, "token"),
        (("--token-file", "x"), 2, "--ws"),
        (("--log-level", "loud"), 2, "--log-level"),
        (("--ws", "127.0.0.1:0", "--token-file", "/nowhere/token"), 1, "No such file"),
        (("--model", "qwen2.5-coder-0.5"), 1, "Did you mean"),
    ],
)
def test_serve_refuses_what_it_must_not_or_cannot_do(
    shell: Shell,
    arguments: tuple[str, ...],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POLYDRAFT_TOKEN", raising=False)
    result = shell("serve", *arguments)
    assert result.code == code
    assert says in result.err
    assert "Traceback" not in result.err


def test_the_model_of_the_command_line_stands_over_every_setting() -> None:
    from polydraft.lsp_server.client_options import parse_options
    from polydraft.lsp_server.workspace_settings import WorkspaceSettings

    options = parse_options({"model": "codegemma-2b", "k": 2})
    fixed = {"model": "starcoder2-3b"}
    settings = WorkspaceSettings(lambda name: True, options=options, fixed=fixed)
    settings.configure({"model": "codellama-7b"})
    assert (settings.current.model, settings.current.k) == ("starcoder2-3b", 2)


# The demo ---------------------------------------------------------------------------------------


def test_the_demo_completes_the_marked_place_of_a_real_module(shell: Shell) -> None:
    result = shell("complete", "--demo", "--json")
    assert result.code == 0
    (request,) = shell.completer.requests
    assert "▮" not in request.prefix + request.suffix
    assert request.prefix.endswith('"""\n        ')
    assert request.suffix.startswith("\n\n\ndef read_csv")
    assert result.json["file"] == "examples/inventory.py"
    whole = request.prefix + "return 0" + request.suffix
    compile(whole, "inventory.py", "exec")


def test_without_its_file_the_demo_says_what_to_do_instead(tmp_path: Path) -> None:
    from polydraft.lsp_server.demo import demo_cursor
    from polydraft.lsp_server.failures import CommandError

    with pytest.raises(CommandError, match="file of your own"):
        demo_cursor(tmp_path / "none.py")
    with pytest.raises(CommandError, match="no cursor"):
        demo_cursor(write(tmp_path / "a.py", "x = 1\n"))


# Real weights -----------------------------------------------------------------------------------


@pytest.mark.weights
def test_the_demo_ends_with_three_distinct_drafts() -> None:
    result = polydraft("complete", "--demo")
    assert result.returncode == 0, result.stderr
    for number in "123":
        assert f"\n{number}  mean log-probability -" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.weights
def test_a_real_completion_gives_three_exact_distinct_drafts(tmp_path: Path) -> None:
    path = write(tmp_path / "area.py", "import math\n\n\ndef circle_area(radius):\n    return \n")
    result = polydraft("complete", "--json", f"{path}:5:12")
    assert (result.returncode, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    texts = [draft["text"] for draft in answer["drafts"]]
    assert len(set(texts)) == 3
    for draft in answer["drafts"]:
        mean = sum(draft["token_logprobs"]) / draft["token_count"]
        assert draft["mean_logprob"] == pytest.approx(mean, abs=1e-4)
