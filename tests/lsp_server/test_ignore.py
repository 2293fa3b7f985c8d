"""What may be read into a prompt or an index."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polydraft.lsp_server.ignore import IgnoreRules, is_secret


def write(root: Path, name: str, text: str = "x\n") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.local", ".ENV.production", "prod.env", "server.pem", "tls.KEY", "id_rsa"),
        *("id_ed25519.pub", "a.p12", "a.pfx", ".netrc", ".npmrc", ".pypirc", "credentials"),
        *("credentials.json", "gcp-credentials.json", "secrets.yaml", "secrets.py", "a.kdbx"),
        *("a.keystore", "a.tfstate", "a.tfstate.backup", "prod.tfvars", ".git-credentials"),
        *("kubeconfig", ".aws/config", "home/.ssh/known_hosts", ".gnupg/x", ".docker/config.json"),
        *(".kube/config", ".bash_history", ".config/gh/hosts.yml"),
    ],
)
def test_secrets_are_excluded_with_and_without_a_workspace(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    assert IgnoreRules(tmp_path).is_excluded(path)
    assert IgnoreRules(None).is_excluded(path)


@pytest.mark.parametrize(
    "name",
    [
        *(".env.example", ".env.sample", ".env.template", "environment.py", "keys.py", "main.py"),
        *("secret_santa.py", "history.py", "docker/config.json", "ssh/client.py", "monkey.md"),
    ],
)
def test_names_that_only_look_alike_may_be_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    assert not IgnoreRules(tmp_path).is_excluded(path)
    assert not IgnoreRules(None).is_excluded(path)


def test_an_ignore_file_cannot_take_a_secret_back_in(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "!.env\n")
    write(tmp_path, ".polydraftignore", "!.env\n")
    assert IgnoreRules(tmp_path).is_excluded(write(tmp_path, ".env"))


TREE = {
    ".gitignore": "*.log\n!keep.log\n/build/\ndocs/*.txt\n# note\n\ntrailing \n**/deep/x.py\n",
    "sub/.gitignore": "!sub.log\nlocal.py\n/only_here.py\n",
    "out/.gitignore": "*\n!.gitignore\n",
}
FILES = [
    *("a.log", "keep.log", "sub/a.log", "sub/sub.log", "sub/more/sub.log", "build/a.py"),
    *("sub/build/a.py", "docs/a.txt", "docs/more/a.txt", "sub/docs/a.txt", "local.py"),
    *("sub/local.py", "sub/more/local.py", "sub/only_here.py", "sub/more/only_here.py"),
    *("out/a.py", "a/b/deep/x.py", "deep/x.py", "trailing", "info.py", "plain.py", "é.py"),
]


def test_git_ignore_files_mean_what_git_says(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    subprocess.run([git, "init", "-q", str(tmp_path)], check=True)
    for name, text in TREE.items():
        write(tmp_path, name, text)
    write(tmp_path, ".git/info/exclude", "info.py\n")
    for name in FILES:
        write(tmp_path, name)
    ask = [git, "-C", str(tmp_path), "-c", "core.quotePath=false", "check-ignore", "--no-index"]
    said = subprocess.run([*ask, *FILES], capture_output=True, encoding="utf-8", check=True)
    rules = IgnoreRules(tmp_path)
    ours = {name for name in FILES if rules.is_excluded(tmp_path / name)}
    assert ours == set(said.stdout.splitlines())


def test_our_own_ignore_file_adds_to_gits(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "a.py\n")
    write(tmp_path, ".polydraftignore", "!a.py\nb.py\ngenerated/\n")
    rules = IgnoreRules(tmp_path)
    names = ["a.py", "b.py", "c.py", "generated/d.py"]
    assert [rules.is_excluded(write(tmp_path, name)) for name in names] == [True, True, False, True]


def test_an_ignored_folder_is_excluded_itself(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "build/\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "src").mkdir()
    rules = IgnoreRules(tmp_path)
    assert rules.is_excluded(tmp_path / "build")
    assert not rules.is_excluded(tmp_path / "src")


def test_a_changed_ignore_file_counts_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "a.py")
    rules = IgnoreRules(tmp_path)
    assert not rules.is_excluded(path)
    write(tmp_path, ".gitignore", "a.py\n")
    assert rules.is_excluded(path)
    (tmp_path / ".gitignore").unlink()
    assert not rules.is_excluded(path)


def test_a_workspace_inside_of_a_checkout_follows_the_checkouts_rules(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    write(tmp_path, ".gitignore", "sub/a.py\n")
    path = write(tmp_path, "sub/a.py")
    assert IgnoreRules(tmp_path / "sub").is_excluded(path)


def test_gits_own_folder_is_excluded(tmp_path: Path) -> None:
    assert IgnoreRules(tmp_path).is_excluded(write(tmp_path, ".git/config"))


def test_a_pattern_that_makes_no_sense_does_not_switch_off_the_others(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "!\n/\n[\na.py\n")
    assert IgnoreRules(tmp_path).is_excluded(write(tmp_path, "a.py"))


def test_links_that_leave_the_workspace_are_excluded(tmp_path: Path) -> None:
    outside = write(tmp_path, "outside/a.py")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.py").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    (root / "inner.py").symlink_to(write(root, "real.py"))
    rules = IgnoreRules(root)
    assert rules.is_excluded(root / "link.py")
    assert rules.is_excluded(root / "folder" / "a.py")
    assert rules.is_excluded(outside)
    assert rules.is_excluded(root / ".." / "outside" / "a.py")
    assert not rules.is_excluded(root / "inner.py")


def test_a_link_to_a_secret_or_an_ignored_file_is_excluded(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "private.py\n")
    (tmp_path / "notes.txt").symlink_to(write(tmp_path, ".env"))
    (tmp_path / "public.py").symlink_to(write(tmp_path, "private.py"))
    rules = IgnoreRules(tmp_path)
    assert rules.is_excluded(tmp_path / "notes.txt")
    assert rules.is_excluded(tmp_path / "public.py")


def test_a_workspace_reached_through_a_link_is_a_workspace(tmp_path: Path) -> None:
    real = tmp_path / "real"
    path = write(real, "a.py")
    (tmp_path / "link").symlink_to(real)
    assert not IgnoreRules(tmp_path / "link").is_excluded(tmp_path / "link" / "a.py")
    assert not IgnoreRules(tmp_path / "link").is_excluded(path)


def test_binary_files_and_pipes_are_excluded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"text\0text")
    os.mkfifo(tmp_path / "pipe.py")
    rules = IgnoreRules(tmp_path)
    assert rules.is_excluded(tmp_path / "a.txt")
    assert rules.is_excluded(tmp_path / "pipe.py")
    assert rules.is_excluded(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("text now")
    assert not rules.is_excluded(tmp_path / "a.txt")


def test_a_file_that_is_not_saved_yet_is_judged_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, ".gitignore", "scratch*\n")
    rules = IgnoreRules(tmp_path)
    assert not rules.is_excluded(tmp_path / "new.py")
    assert rules.is_excluded(tmp_path / "scratch.py")


def test_paths_that_no_system_takes_are_excluded(tmp_path: Path) -> None:
    rules = IgnoreRules(tmp_path)
    assert rules.is_excluded(tmp_path / ("a" * 5000))
    assert rules.is_excluded(tmp_path / "a\0b")


def test_an_empty_path_is_no_secret() -> None:
    assert not is_secret(Path())
