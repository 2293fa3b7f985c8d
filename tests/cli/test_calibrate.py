"""`polydraft calibrate` with a scripted pair: points, resuming, choosing, the settings' layer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from polydraft.completion.rows import Choice
from polydraft.completion.switching import Policy, Thresholds, policy_of
from polydraft.completion.switching.chance import Chance
from polydraft.completion.switching.lockstep import Lockstep
from polydraft.completion.types import Completion, Draft, Finish, Origin, Part, Request, Stats
from polydraft.lsp_server import calibration_points
from polydraft.lsp_server.calibration import (
    Measured,
    Row,
    Target,
    choose,
    common_share,
    front,
    grid,
    intervals,
    table,
)
from polydraft.lsp_server.calibration_points import points
from polydraft.lsp_server.calibration_store import CalibrationStore
from polydraft.lsp_server.one_shot import ModelInUse, Options, RegistryLoader, open_workspace
from polydraft.lsp_server.workspace_files import read_source
from polydraft.models.errors import PairError
from tests.cli.support import FakeLoader, Shell, write
from tests.cli.test_json import check


def source(name: str) -> str:
    return "".join(f"{name}_{n} = compute(argument_{n}, other_{n})\n" for n in range(8))


@dataclass
class ScriptedPair:
    """The small model writes a wrong token of the loss that a place has; the large one is right."""

    policy: Policy
    truths: Mapping[str, str]  # by prefix
    requests: list[Request] = field(default_factory=list)
    interrupt_at: int | None = None

    def prefill(self, request: Request, **_: object) -> None:
        pass

    def complete(self, request: Request, **_: object) -> Completion:
        if len(self.requests) == self.interrupt_at:
            raise KeyboardInterrupt
        self.requests.append(request)
        truth = self.truths[request.prefix]
        loss = 0.2 + len(request.prefix) % 7
        small = Choice((1,), (-0.4,), 1.2)
        asked = right = self.policy.name == "large"
        if self.policy.name not in ("small", "large"):
            asked = self.policy.looks([small]) is not None
            right = asked and self.policy.rejects(1, small, Choice((2,), (-0.1,)), loss) is not None
        origin = Origin.LARGE if right else Origin.SMALL
        text = truth if right else truth[:1] + "?"
        draft = Draft(text, -0.1, 4, "greedy", Finish.LINE, parts=(Part(origin, 4, len(text)),))
        return Completion((draft,), Stats(total_s=0.1, escalated="loss" if asked else ""))


@dataclass
class PairLoader(FakeLoader):
    truths: Callable[[], Mapping[str, str]] = dict
    pairs_under: list[ScriptedPair] = field(default_factory=list)
    interrupt_at: int | None = None
    refusal: Exception | None = None

    def pair_under(self, small: ModelInUse, large: ModelInUse, policy: Policy) -> ScriptedPair:
        if self.refusal is not None:
            raise self.refusal
        pair = ScriptedPair(policy, self.truths(), interrupt_at=self.interrupt_at)
        self.pairs_under.append(pair)
        return pair

    @property
    def prefixes(self) -> set[str]:
        """What the last run's models were asked about."""
        return {request.prefix for request in self.pairs_under[-1].requests}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLYDRAFT_STATE", str(tmp_path / "state"))
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    for name in ("a.py", "b.py", "sub/c.py"):
        write(folder / name, source(name[-4]))
    return folder


@pytest.fixture
def loader(shell: Shell, root: Path) -> PairLoader:
    def strange(path: Path) -> bool:
        return path.is_file() and path.name not in ("a.py", "b.py", "c.py")

    def truths() -> dict[str, str]:
        return {each.prefix: each.truth for each in points(root, 1000, 0, strange)}

    shell.loader = PairLoader(truths=truths)
    return shell.loader


def row(name: str, share: float, quality: float, closed: float | None = None) -> Row:
    return Row(name, share, quality, 0.0, 0.5, 100.0, closed)


# Choosing ---------------------------------------------------------------------------------------

ROWS = [
    row("small", 0.0, 0.4, 0.0),
    row("a", 0.05, 0.5, 0.5),
    row("b", 0.2, 0.58, 0.9),
    row("c", 0.3, 0.57, 0.85),
    row("d", 0.5, 0.6, 1.0),
    row("random 0.5", 0.1, 0.9, 2.5),
    row("large", 1.0, 0.6, 1.0),
]


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("share", 0.35, "b"),
        ("share", 0.1, "a"),
        ("share", 1.0, "d"),
        ("quality", 0.5, "a"),
        ("quality", 0.6, "b"),
        ("quality", 0.95, "d"),
    ],
)
def test_the_chosen_setting_meets_the_target(kind: str, value: float, name: str) -> None:
    found = choose(ROWS, Target(kind, value)).row
    assert found is not None and found.name == name


def test_a_target_that_nothing_meets_is_said_with_the_nearest() -> None:
    share, quality = choose(ROWS, Target("share", 0.01)), choose(ROWS[:4], Target("quality", 0.95))
    assert share.row is None and "5.0%, with a" in share.why
    assert quality.row is None and "90%, with b" in quality.why


def test_without_a_gap_no_quality_can_be_asked_for() -> None:
    same = {"small": measured(0, 0.5), "large": measured(4, 0.5), "a": measured(1, 0.5)}
    rows = table([same] * 10)
    found = choose(rows, Target("quality", 0.9))
    assert found.row is None and "no better" in found.why
    assert choose(rows, Target("share", 0.5)).row is not None


def test_the_front_leaves_out_what_is_dearer_and_no_better() -> None:
    assert [each.name for each in front(ROWS)] == ["a", "b", "d"]


def measured(large_tokens: int, right: float) -> Measured:
    return Measured(4, large_tokens, right, right == 1.0, large_tokens > 0, 10.0)


def test_shares_are_of_tokens_and_the_gap_is_that_of_the_points() -> None:
    records = [
        {"small": measured(0, 0.0), "x": measured(1, 0.5), "large": measured(4, 1.0)},
        {"small": measured(0, 0.5), "x": measured(3, 0.5), "large": measured(4, 0.5)},
    ]
    found = {each.name: each for each in table(records)}
    assert (found["x"].share, found["x"].quality, found["x"].closed) == (0.5, 0.5, 0.5)
    sure = intervals(records, "x")["quality"]
    assert sure.low == sure.high == 0.5


def test_quality_is_the_right_beginning() -> None:
    assert common_share("abXd", "abcd") == 0.5
    assert common_share("abcd  ", "abcd") == 1.0
    assert common_share("", "abcd") == 0.0
    assert common_share("abcdef", "abcd") == 1.0


# One run for many settings ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bild", "cascade"])
@pytest.mark.parametrize("loss", [0.1, 0.7, 1.5, 2.5, 5.0, 9.0])
def test_who_is_in_step_would_have_done_the_same(name: str, loss: float) -> None:
    every = {key: policy_of(name, Thresholds(**values)) for key, values in grid(name).items()}
    small, large = Choice((1, 2), (-0.7, -1.5), 1.2), Choice((2, 1), (-0.2, -loss))

    def answers(policy: Policy) -> tuple[bool, bool]:
        looks = policy.looks([small]) is not None
        return looks, looks and policy.rejects(1, small, large, loss) is not None

    lockstep = Lockstep(every)
    for lead in every:
        lockstep.begin(lead)
        expected = answers(lockstep)
        assert lockstep.same == {key for key, each in every.items() if answers(each) == expected}


def test_random_switching_repeats_itself_and_more_contains_less() -> None:
    large = Choice((2,), (-0.1,))

    def rejected(rate: float) -> set[int]:
        policy = Chance(rate, checks=True)
        small = [Choice((token,), (-0.4,), 1.0) for token in range(3, 403)]
        return {
            each.tokens[0] for each in small if policy.rejects(each.tokens[0], each, large, 1.0)
        }

    assert rejected(0.25) < rejected(0.5) < rejected(0.75)
    assert 150 < len(rejected(0.5)) < 250
    own = Chance(1.0, checks=True).rejects(2, Choice((2,), (-0.4,), 1.0), large, 0.1)
    assert own is None  # what is the large model's best as well


# Points -----------------------------------------------------------------------------------------


def test_points_are_the_same_for_a_seed_and_take_turns_between_files(root: Path) -> None:
    one, again, other = (points(root, 12, seed, lambda path: None) for seed in (0, 0, 1))
    assert one == again != other
    for turn in range(0, 12, 3):
        assert len({each.path for each in one[turn : turn + 3]}) == 3
    for each in one:
        assert each.prefix + each.truth + each.suffix == each.path.read_text()


def test_excluded_and_secret_files_are_never_read(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / ".gitignore", "ignored.py\n")
    write(root / "polydraft.toml", 'exclude = ["generated/"]\n')
    hidden = [root / name for name in ("ignored.py", "generated/x.py", "secrets.py", "d/.env.py")]
    for path in hidden:
        write(path, source("hidden"))
    read: list[Path] = []

    def watched(path: Path) -> str | None:
        read.append(path)
        return read_source(path)

    monkeypatch.setattr(calibration_points, "read_source", watched)
    assert shell("calibrate", str(root), "--json").code == 0
    assert {path.name for path in read} == {"a.py", "b.py", "c.py"}


# The command ------------------------------------------------------------------------------------


def test_a_run_writes_thresholds_and_says_what_they_do(
    shell: Shell, loader: PairLoader, root: Path
) -> None:
    result = shell("calibrate", str(root), "--share", "0.5")
    assert result.code == 0, result.err
    assert "24 places in 3 files" in result.out
    assert "← chosen" in result.out and "random 0.5" in result.out
    kept = CalibrationStore(root).read()
    assert kept is not None and kept.policy == "bild"
    assert set(kept.thresholds) == {"confidence", "rollback", "gate"}
    assert (kept.small, kept.large) == ("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
    # Nothing in the settings names the large model.
    assert 'not used here: it is for large = "qwen2.5-coder-1.5b"' in result.out
    assert not list(root.rglob("calibration*"))


def test_the_json_is_documented(shell: Shell, loader: PairLoader, root: Path) -> None:
    for options in (("--share", "0.5"), ("--show",), ("--share", "0.0"), ("--policy", "ead")):
        result = shell("calibrate", str(root), "--json", *options)
        check(result.json, "polydraft.calibrate/1", ("thresholds",))
    found = shell("calibrate", str(root), "--json", "--reset").json
    assert found == {"schema": "polydraft.calibrate/1", "deleted": True}


def test_a_second_run_measures_only_what_is_missing(
    shell: Shell, loader: PairLoader, root: Path
) -> None:
    first = shell("calibrate", str(root), "--json", "--points", "12").json
    done = loader.prefixes
    assert first["fresh_points"] == first["points"] == len(done) == 12
    second = shell("calibrate", str(root), "--json", "--points", "20").json
    assert (second["points"], second["fresh_points"]) == (20, 8)
    assert not loader.prefixes & done
    write(root / "a.py", source("changed"))
    third = shell("calibrate", str(root), "--json", "--points", "20").json
    assert third["points"] == 20
    assert 0 < third["fresh_points"] < 8  # a file that changed is another one
    cascade = shell("calibrate", str(root), "--json", "--points", "12", "--policy", "cascade").json
    assert cascade["fresh_points"] == 12


def test_an_interruption_keeps_the_points_and_says_what_is_known(
    shell: Shell, loader: PairLoader, root: Path
) -> None:
    loader.interrupt_at = 45
    result = shell("calibrate", str(root))
    assert result.code == 130
    assert "the same command goes on from there" in result.err
    assert "quality" in result.out
    assert CalibrationStore(root).read() is None
    kept = len((CalibrationStore(root).folder / "records.jsonl").read_text().splitlines())
    assert 0 < kept < 24
    loader.interrupt_at = None
    answer = shell("calibrate", str(root), "--json").json
    assert (answer["points"], answer["fresh_points"]) == (24, 24 - kept)
    loader.interrupt_at = 0
    write(root / "b.py", source("changed"))
    result = shell("calibrate", str(root), "--json")
    assert (result.code, result.json["interrupted"], result.json["written"]) == (130, True, False)


def test_time_ends_a_run(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    answer = shell("calibrate", str(root), "--json", "--minutes", "4").json
    assert 10 <= answer["points"] < 24


def test_few_points_choose_nothing(shell: Shell, loader: PairLoader, root: Path) -> None:
    result = shell("calibrate", str(root), "--points", "9")
    assert result.code == 1
    assert "9 points say too little" in result.out
    assert CalibrationStore(root).read() is None


def test_without_matplotlib_the_plot_is_drawn_in_letters(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    out = shell("calibrate", str(root), "--share", "0.5").out
    assert "pip install 'polydraft[bench]'" in out
    assert "# chosen" in out


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--share", "0.3", "--quality", "0.9"), 2, "Choose one"),
        (("--policy", "spec"), 2, "has no thresholds"),
        (("--policy", "other"), 2, "--policy must be"),
        (("--large", "qwen2.5-coder-1.5"), 1, "Did you mean"),
        (("--show",), 1, "not calibrated"),
        (("--plot", "/nowhere/plot.svg"), 1, "/nowhere/plot.svg"),
    ],
)
def test_what_cannot_be_done_is_said(
    shell: Shell, loader: PairLoader, root: Path, options: tuple[str, ...], code: int, says: str
) -> None:
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    result = shell("calibrate", str(root), *options)
    assert (result.code, "Traceback" in result.err) == (code, False)
    assert says in result.err


def test_an_empty_workspace_and_a_missing_one(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path / "empty/README.md", "text\n")
    empty = shell("calibrate", str(tmp_path / "empty"))
    assert empty.code == 1 and "no source files" in empty.err
    missing = shell("calibrate", str(tmp_path / "missing"), "--json")
    assert missing.code == 2
    assert missing.json["schema"] == "polydraft.calibrate/1"


def test_models_of_two_kinds_are_refused(shell: Shell, loader: PairLoader, root: Path) -> None:
    loader.refusal = PairError("a and b cannot work as a pair", 3)
    result = shell("calibrate", str(root))
    assert result.code == 1 and "cannot work as a pair" in result.err


def test_a_state_that_cannot_be_written_is_said_before_models_are_loaded(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root.parent / "file", "")
    monkeypatch.setenv("POLYDRAFT_STATE", str(root.parent / "file" / "state"))
    result = shell("calibrate", str(root))
    assert result.code == 1 and "POLYDRAFT_STATE" in result.err
    assert loader.loads == []


def test_an_untrusted_workspace_names_no_model_that_is_not_here(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "polydraft.toml", 'large = "deepseek-coder-6.7b"\n')
    monkeypatch.setattr(PairLoader, "is_ready", lambda self, name: False)
    result = shell("calibrate", str(root))
    assert "is not trusted" in result.err
    assert [each.name for each in loader.loads] == ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]


# The settings' layer ----------------------------------------------------------------------------


def thresholds_in(root: Path) -> dict[str, float]:
    return dict(open_workspace(root, Options(), lambda name: True).settings.thresholds)


@pytest.fixture
def calibrated(
    shell: Shell, loader: PairLoader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, float]:
    monkeypatch.setattr(RegistryLoader, "is_ready", lambda self, name: True)
    write(root / "polydraft.toml", 'large = "qwen2.5-coder-1.5b"\n')
    result = shell("calibrate", str(root), "--share", "0.5")
    assert result.code == 0 and "It holds in this workspace" in result.out
    kept = CalibrationStore(root).read()
    assert kept is not None
    return dict(kept.thresholds)


def test_the_result_lies_below_every_setting(root: Path, calibrated: dict[str, float]) -> None:
    assert thresholds_in(root) == calibrated
    large = 'large = "qwen2.5-coder-1.5b"\n'
    write(root / "polydraft.toml", f"{large}[thresholds]\nrollback = 5.5\n")
    assert thresholds_in(root) == {"rollback": 5.5}  # the others belong to what was measured
    write(root / "polydraft.toml", f"{large}[thresholds]\nstay = 4\n")  # of another policy
    assert thresholds_in(root) == {**calibrated, "stay": 4}


@pytest.mark.parametrize("other", ['policy = "cascade"', 'large = "none"', 'model = "x"'])
def test_it_holds_for_its_models_and_policy_only(
    root: Path, calibrated: dict[str, float], other: str
) -> None:
    named = {line.split()[0]: line for line in ('large = "qwen2.5-coder-1.5b"', other)}
    write(root / "polydraft.toml", "\n".join(named.values()))
    assert thresholds_in(root) == {}


def test_complete_switches_by_it(
    shell: Shell, loader: PairLoader, root: Path, calibrated: dict[str, float]
) -> None:
    shell("complete", f"{root / 'a.py'}:1:1")
    assert dict(loader.pairs[-1][2].thresholds) == calibrated


def test_a_damaged_result_is_no_result(root: Path, calibrated: dict[str, float]) -> None:
    file = CalibrationStore(root).file
    facts = json.loads(file.read_text())
    for wrong in ([], {**facts, "thresholds": {"rollback": -1}}, {**facts, "thresholds": 3}):
        file.write_text(json.dumps(wrong))
        assert thresholds_in(root) == {}
    file.write_text("{")
    assert thresholds_in(root) == {}


def test_what_is_kept_is_the_user_s_alone_and_holds_no_source(
    root: Path, calibrated: dict[str, float]
) -> None:
    folder = CalibrationStore(root).folder
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0
    for path in folder.glob("*.json*"):
        assert path.stat().st_mode & 0o077 == 0 or os.name != "posix"
        assert "compute" not in path.read_text()


def test_a_line_cut_short_costs_that_point_only(
    shell: Shell, loader: PairLoader, root: Path, calibrated: dict[str, float]
) -> None:
    records = CalibrationStore(root).folder / "records.jsonl"
    records.write_bytes(records.read_bytes()[:-20])
    for fresh in (1, 0):
        assert shell("calibrate", str(root), "--json").json["fresh_points"] == fresh


def test_the_doctor_names_it(
    shell: Shell, root: Path, calibrated: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    found = shell("doctor", "--json").json["settings"]
    assert (found["calibration"], found["calibration_used"]) == (
        str(CalibrationStore(root).file),
        True,
    )
    assert "calibration" in shell("doctor").out
