"""The workspace folders of one client: each has settings of its own, and models of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polydraft.lsp_server.client_options import ClientOptions, parse_options
from polydraft.lsp_server.completers import CompleterPool
from polydraft.lsp_server.model_pair import ModelPair, Voice
from polydraft.lsp_server.settings import Layer, Settings
from polydraft.lsp_server.workspace_settings import WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Folder:
    """A workspace folder: its URI as the client writes it, and its path."""

    uri: str
    path: Path


@dataclass(slots=True, eq=False)
class Workspace:
    """What holds in one folder; `root` is None for all documents of a client without folders.

    Its settings come into effect when `started`, which is when all of them are known.
    """

    root: Path | None
    settings: WorkspaceSettings
    models: ModelPair
    started: bool = False
    applied: Settings | None = None

    @property
    def outdated(self) -> bool:
        """Whether settings have changed that are still to be applied."""
        return self.started and self.settings.current != self.applied

    def apply(self) -> bool:
        """Use the models that the settings name; whether a small one had to be asked for."""
        self.applied = self.settings.current
        return self.models.want(self.applied.models)


class Workspaces:
    """The workspaces of one client, in its order; there is always one."""

    def __init__(self, pool: CompleterPool, voice: Voice) -> None:
        self.options = ClientOptions()
        self.fixed: Layer = {}  # values that stand over all others, e.g. the command line's
        self.watched = False  # the editor reports changes of the files
        self._pool = pool
        self._voice = voice
        self._editor: object = None  # its settings for all folders
        self._told: frozenset[str] = frozenset()
        self._all: dict[Path | None, Workspace] = {}

    def __iter__(self) -> Iterator[Workspace]:
        return iter(tuple(self._all.values()))

    def initialize(self, folders: Sequence[Folder], options: object) -> None:
        """Take `initializationOptions` and read the folders' files."""
        self.options = parse_options(options)
        self.set_folders(folders)

    def set_folders(self, folders: Sequence[Folder]) -> None:
        """Close the folders that are gone and open new ones, which are still to be started."""
        wanted: Mapping[Path | None, Folder | None]
        wanted = {folder.path: folder for folder in folders} or {None: None}
        for path in self._all.keys() - wanted.keys():
            self._all[path].models.release()
        kept = self._all
        self._all = {path: kept.get(path) or self._open(folder) for path, folder in wanted.items()}

    def root_of(self, path: Path | None) -> Path | None:
        """The innermost folder that holds a file; None if none does."""
        if path is None:
            return None
        holding = [root for root in self._all if root is not None and path.is_relative_to(root)]
        return max(holding, key=lambda root: len(root.parts), default=None)

    def of(self, path: Path | None) -> Workspace:
        """What holds for a document; outside of all folders that is what holds in the first."""
        return self._all.get(self.root_of(path)) or next(iter(self._all.values()))

    def configure(self, raw: object, path: Path | None = None) -> None:
        """Take the editor's settings for one folder, or for all that there are and will be."""
        if path is None:
            self._editor = raw
        for workspace in self:
            if path is None or workspace.root == path:
                workspace.settings.configure(raw)

    def poll(self, workspace: Workspace) -> None:
        """Look whether the file has changed, unless the editor would tell."""
        if not self.watched:
            workspace.settings.poll()

    def new_problems(self) -> tuple[str, ...]:
        """What is wrong with the settings and was not told before; folders may share a problem."""
        problems = tuple(dict.fromkeys(each for one in self for each in one.settings.problems))
        new = tuple(problem for problem in problems if problem not in self._told)
        self._told = frozenset(problems)
        return new

    def close(self) -> None:
        for workspace in self:
            workspace.models.release()

    def _open(self, folder: Folder | None) -> Workspace:
        root = folder.path if folder is not None else None
        settings = WorkspaceSettings(self._pool.provider.is_ready, root, self.options, self.fixed)
        settings.reread()
        settings.configure(self._editor)
        models = ModelPair(self._pool, folder.uri if folder is not None else None, self._voice)
        return Workspace(root, settings, models)
