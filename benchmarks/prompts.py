"""Fill-in-the-middle prompts of an exact length, for timings."""

from __future__ import annotations

from pathlib import Path

from polydraft.models.load import LoadedModel


def code_prompt(loaded: LoadedModel, tokens: int) -> list[int]:
    """`tokens` ids of this repository's own code, with the cursor at three quarters of it."""
    fmt = loaded.prompt_format
    assert fmt.prefix is not None and fmt.suffix is not None and fmt.middle is not None
    folder = Path(__file__).parent.parent / "completion"
    text = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))
    ids = loaded.tokenizer.encode(text[: 8 * tokens])
    code = tokens - 3
    if len(ids) < code:
        raise ValueError(f"only {len(ids)} tokens of code for a prompt of {tokens}")
    cut = code * 3 // 4
    return [fmt.prefix, *ids[:cut], fmt.suffix, *ids[cut:code], fmt.middle]
