"""A process's memory is what its control groups leave of the machine's, told by trees of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from polydraft.models.cgroup import memory_limit
from polydraft.models.memory import available_bytes, memory

MB = 1 << 20
UNLIMITED_V1 = 0x7FFFFFFFFFFFF000


class Tree:
    """Files as Linux has them: `process` is /proc/self, and a tree of groups at `top`."""

    def __init__(self, folder: Path) -> None:
        self.process, self.top = folder / "self", folder / "fs" / "cgroup"
        self.process.mkdir()
        self.top.mkdir(parents=True)

    def at(self, *lines: str) -> None:
        """The lines of /proc/self/cgroup."""
        (self.process / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def mounted(self, *mounts: tuple[str, str, str], top: Path | None = None) -> None:
        """(root, type, options) of each mount."""
        where = str(top or self.top).replace(" ", r"\040")
        (self.process / "mountinfo").write_text(
            "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
            + "".join(
                f"3{i} 22 0:2{i} {root} {where} rw,nosuid shared:9 - {kind} {kind} {options}\n"
                for i, (root, kind, options) in enumerate(mounts)
            )
        )

    def v2(self, path: str = "/a/b", root: str = "/") -> None:
        self.at(f"0::{path}")
        self.mounted((root, "cgroup2", "rw,nsdelegate"))

    def v1(self, path: str = "/a/b", root: str = "/") -> None:
        self.at(f"9:cpu,cpuacct:{path}/x", f"4:memory:{path}", "0::/elsewhere")
        self.mounted((root, "cgroup", "rw,memory"))

    def group(self, path: str, **files: object) -> None:
        folder = self.top / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / f"memory.{name}").write_text(f"{value}\n")

    @property
    def limit(self) -> tuple[int | None, int | None]:
        return memory_limit(self.process)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_own_group_limits_what_is_there_and_what_is_free(tree: Tree) -> None:
    tree.v2()
    tree.group("a/b", max=800 * MB, current=300 * MB)
    assert tree.limit == (800 * MB, 500 * MB)


def test_a_limit_holds_for_all_below_and_the_tightest_counts(tree: Tree) -> None:
    tree.v2()
    tree.group("a/b", max=800 * MB, current=100 * MB)
    tree.group("a", max=1000 * MB, current=950 * MB)  # others are in it, too
    tree.group("", max="max")
    assert tree.limit == (800 * MB, 50 * MB)


def test_groups_of_others_do_not_count(tree: Tree) -> None:
    tree.v2()
    tree.group("a/b", max=800 * MB, current=0)
    tree.group("a/b/below", max=MB, current=0)
    tree.group("other", max=MB, current=0)
    assert tree.limit == (800 * MB, 800 * MB)


def test_cached_pages_of_files_make_room(tree: Tree) -> None:
    tree.v2()
    stat = f"anon {200 * MB}\nfile {420 * MB}\nactive_file {300 * MB}\ninactive_file {100 * MB}"
    tree.group("a/b", max=800 * MB, current=700 * MB, stat=stat)
    assert tree.limit == (800 * MB, 500 * MB)


def test_what_is_used_may_be_more_than_the_limit_or_less_than_what_is_cached(tree: Tree) -> None:
    tree.v2()
    tree.group("a/b", max=10 * MB, current=11 * MB)
    assert tree.limit == (10 * MB, 0)
    tree.group("a/b", max=10 * MB, current=MB, stat=f"active_file {2 * MB}\nodd\nanon x")
    assert tree.limit == (10 * MB, 10 * MB)


@pytest.mark.parametrize("limit", ["max", "", "-1", "12 34", "much"])
def test_a_file_that_names_no_number_is_no_limit(tree: Tree, limit: str) -> None:
    tree.v2()
    tree.group("a/b", max=limit, current=MB)
    assert tree.limit == (None, None)


def test_files_that_are_missing_or_unreadable_are_no_limit(tree: Tree) -> None:
    assert tree.limit == (None, None)  # no system with groups
    tree.at("0::/a/b")
    assert tree.limit == (None, None)  # no mounts
    tree.v2()
    assert tree.limit == (None, None)  # no folder
    tree.group("a/b/memory.max")  # a folder where a file should be
    assert tree.limit == (None, None)
    (tree.process / "cgroup").write_bytes(b"\xff\n0\n::\n")
    (tree.process / "mountinfo").write_bytes(b"\xff - cgroup2\n\n - - -\n")
    assert tree.limit == (None, None)


def test_a_limit_without_a_count_of_what_is_used_bounds_what_is_free(tree: Tree) -> None:
    tree.v2()
    tree.group("a/b", max=800 * MB)
    assert tree.limit == (800 * MB, 800 * MB)


@pytest.mark.parametrize(
    ("path", "root", "folder"),
    [
        ("/", "/", ""),  # a container with a name space of its own
        ("/docker/1f", "/docker/1f", ""),  # one without: its part of the tree is mounted
        ("/docker/1f/job", "/docker/1f", "job"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_in_a_container_the_mount_shows_a_part_of_the_tree(
    tree: Tree, version: int, path: str, root: str, folder: str
) -> None:
    if version == 2:
        tree.v2(path, root)
        tree.group(folder, max=800 * MB, current=MB)
    else:
        tree.v1(path, root)
        tree.group(folder, limit_in_bytes=800 * MB, usage_in_bytes=MB)
    assert tree.limit == (800 * MB, 799 * MB)


@pytest.mark.parametrize(("path", "root"), [("/a", "/b"), ("/../a", "/"), ("/ab", "/a")])
def test_a_mount_that_does_not_show_the_own_group_says_nothing(
    tree: Tree, path: str, root: str
) -> None:
    tree.v2(path, root)
    tree.group("", max=MB, current=0)
    assert tree.limit == (None, None)


def test_version_1_has_other_names_and_a_number_for_no_limit(tree: Tree) -> None:
    tree.v1()
    stat = f"active_file 1\ntotal_active_file {100 * MB}\ntotal_inactive_file {50 * MB}"
    tree.group("a/b", limit_in_bytes=900 * MB, usage_in_bytes=600 * MB, stat=stat)
    tree.group("a", limit_in_bytes=UNLIMITED_V1, usage_in_bytes=700 * MB)
    tree.group("elsewhere", max=MB, current=0)  # version 2 is mounted somewhere else
    assert tree.limit == (900 * MB, 450 * MB)
    tree.group("a/b", limit_in_bytes=UNLIMITED_V1)
    assert tree.limit == (None, None)


def test_both_versions_may_be_there(tree: Tree) -> None:
    tree.at("4:memory:/a", "0::/b")
    tree.mounted(("/", "cgroup2", "rw"), ("/", "cgroup", "rw,memory"), ("/", "cgroup", "rw,cpu"))
    tree.group("a", limit_in_bytes=900 * MB, usage_in_bytes=100 * MB)
    tree.group("b", max=1000 * MB, current=400 * MB)
    assert tree.limit == (900 * MB, 600 * MB)


def test_a_mount_point_may_have_blanks_in_its_name(tree: Tree, tmp_path: Path) -> None:
    tree.at("0::/a")
    tree.top = tmp_path / "c group"
    tree.mounted(("/", "cgroup2", "rw"))
    tree.group("a", max=MB, current=0)
    assert tree.limit == (MB, MB)


def test_memory_is_the_machine_s_or_what_the_limits_leave(tree: Tree, tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: {1600 << 10} kB\nMemAvailable: {900 << 10} kB\n")
    assert memory(meminfo, tree.process) == (1600 * MB, 900 * MB)
    tree.v2()
    tree.group("a/b", max=800 * MB, current=300 * MB)
    assert memory(meminfo, tree.process) == (800 * MB, 500 * MB)
    tree.group("a/b", max=2000 * MB, current=1200 * MB)
    assert memory(meminfo, tree.process) == (1600 * MB, 800 * MB)
    tree.group("a/b", max=2000 * MB, current=300 * MB)
    assert memory(meminfo, tree.process) == (1600 * MB, 900 * MB)
    assert memory(tmp_path / "none", tree.process)[1] == 1700 * MB


def test_what_this_machine_says_makes_sense() -> None:
    total, free = memory()
    assert total is None or free is None or 0 <= free <= total
    assert available_bytes("cpu") is None or available_bytes("cpu") != 0
