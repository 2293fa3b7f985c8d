"""One completion for the command line: a file's workspace and settings, a request, a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from polydraft.completion.types import Budget, Request
from polydraft.lsp_server.analysts import Analysts, MakeAnalyser
from polydraft.lsp_server.context import gather
from polydraft.lsp_server.documents import with_line_feeds
from polydraft.lsp_server.failures import CommandError, UsageError
from polydraft.lsp_server.ignore import IgnoreRules
from polydraft.lsp_server.place import Cursor
from polydraft.lsp_server.settings import FILE_NAME, RULES, ModelSettings, Settings, Switching
from polydraft.lsp_server.workspace_settings import WorkspaceSettings
from polydraft.models.progress import Progress
from polydraft.monitors.analysers.catalogue import create
from polydraft.monitors.vocabularies import Vocabularies

if TYPE_CHECKING:
    from polydraft.completion.monitor import Monitoring  # which imports torch
    from polydraft.completion.protocols import Completer
    from polydraft.completion.switching import Policy
    from polydraft.lsp_server.wiring import ModelProvider


@dataclass(frozen=True, slots=True)
class ModelInUse:
    """A loaded model; `weights` names their number format, `load_s` is what loading took."""

    completer: Completer
    name: str
    device: str
    weights: str
    load_s: float = 0.0
    large: ModelInUse | None = None  # of a pair; its completer is that of the large model alone


class Loader(Protocol):
    """Where the command line gets its models and analysers from."""

    @property
    def make_analyser(self) -> MakeAnalyser: ...

    def is_ready(self, name: str) -> bool:
        """Whether `name` is a registered model whose files are already in the cache."""

    def load(
        self, model: ModelSettings, progress: Progress, budget_bytes: int | None = None
    ) -> ModelInUse:
        """Fetch, convert and load; `progress` also hears of the stage `load`, in no bytes.

        `budget_bytes` is what all models together may take, None: what is free. Raises
        `ModelError` with a text for the user.
        """

    def pair(self, small: ModelInUse, large: ModelInUse, switching: Switching) -> Completer:
        """Both as one completer; raises `ModelError` if they cannot work together."""

    def pair_under(self, small: ModelInUse, large: ModelInUse, policy: Policy) -> Completer:
        """The same under a policy that is no setting."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; None means as the settings say."""

    model: str | None = None
    device: str | None = None
    weights: str | None = None
    k: int | None = None
    max_tokens: int | None = None
    multiline: bool | None = None
    drafter: str | None = None
    large: str | None = None
    policy: str | None = None
    guesser: str | None = None
    monitors: bool | None = None  # False: none


@dataclass(frozen=True, slots=True)
class Workspace:
    """A file's workspace: its root, None if it lies in none, and what holds there."""

    root: Path | None
    settings: Settings
    problems: tuple[str, ...]
    rules: IgnoreRules

    def refuse(self, path: Path) -> str | None:
        """Why `path` must not enter a prompt, or None."""
        if self.settings.excludes(path, self.root) or self.rules.is_excluded(path):
            return (
                f"polydraft does not read {path.name}: it is binary, usually holds secrets, or is"
                " excluded by .gitignore, .polydraftignore or the setting `exclude`."
            )
        return None


def root_of(path: Path) -> Path | None:
    """The nearest folder above the file with a `polydraft.toml` or a git repository in it."""
    for folder in path.parents:
        if (folder / FILE_NAME).is_file() or (folder / ".git").exists():
            return folder
    return None


def open_workspace(
    root: Path | None, options: Options, is_ready: Callable[[str], bool]
) -> Workspace:
    """Settings with the command line's laid over them; `UsageError` if one of those is wrong.

    The workspace counts as untrusted: its file chooses among the models that are here already.
    """
    given: dict[str, object] = {
        name: value
        for name, value in (
            ("model", options.model),
            ("device", options.device),
            ("weights", options.weights),
            ("large", options.large),
            ("policy", options.policy),
            ("guesser", options.guesser),
        )
        if value is not None
    }
    if options.monitors is False:
        given["monitors"] = ()
    for name, value in given.items():
        if not RULES[name].accepts(value):
            raise UsageError(f"--{name} must be {RULES[name].expects}, not {value!r}.")
    settings = WorkspaceSettings(is_ready, root, fixed=given)
    settings.reread()
    return Workspace(root, settings.current, settings.problems, IgnoreRules(root))


def request_at(cursor: Cursor, workspace: Workspace, options: Options) -> Request:
    """What the engine is asked, with text of other files of the workspace."""
    document, settings = cursor.document, workspace.settings
    if len(document.text) > settings.max_file_size:
        raise CommandError(
            f"{cursor.place.file} has {len(document.text):,} characters; the setting max_file_size"
            f" allows {settings.max_file_size:,}. Raise it in {FILE_NAME} if you need to."
        )
    multiline = settings.wants_multiline if options.multiline is None else options.multiline
    budget = Budget(
        settings.prompt_tokens,
        settings.new_tokens if options.max_tokens is None else options.max_tokens,
    )
    request = Request(
        prefix=with_line_feeds(document.text[: cursor.offset]),
        suffix=with_line_feeds(document.text[cursor.offset :]),
        path=_shown(document.path, workspace.root),
        language=document.language,
        k=settings.k if options.k is None else options.k,
        multiline=multiline,
        budget=budget,
        drafter=settings.drafter if options.drafter is None else options.drafter,
        guesser=settings.guesser,
    )
    if document.path is None or workspace.root is None:
        return request
    chunks = gather(
        workspace.root,
        document.path,
        request,
        {document.path: document.text},
        (),
        workspace.rules,
    )
    return replace(request, context=chunks)


class Watched:
    """The analysis of one document, from before the model is loaded until the drafts are there.

    Like its settings, the workspace counts as untrusted: nothing of it is run.
    """

    def __init__(self, cursor: Cursor, workspace: Workspace, make: MakeAnalyser) -> None:
        self._analysts = Analysts(make, Vocabularies(), _complain)
        self._document = cursor.document
        self._workspace = workspace

    def __enter__(self) -> Watched:
        self._analysts.warm(self._document, self._workspace.root, self._workspace.settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._analysts.close()

    @property
    def monitoring(self) -> Monitoring | None:
        settings = self._workspace.settings
        return self._analysts.monitoring(self._document, self._workspace.root, settings, ())


def _complain(message: str) -> None:
    print(f"polydraft: {message}", file=sys.stderr)


class RegistryLoader:
    """The `Loader` over the registry and the cache. torch is imported when a model is loaded."""

    make_analyser: MakeAnalyser = staticmethod(create)

    def __init__(self) -> None:
        self._provider: ModelProvider | None = None

    def is_ready(self, name: str) -> bool:
        from polydraft.models.errors import ModelError
        from polydraft.models.registry import load_registry
        from polydraft.models.store import is_ready

        try:
            return is_ready(load_registry().get(name)) is not None
        except ModelError:
            return False

    def load(
        self, model: ModelSettings, progress: Progress, budget_bytes: int | None = None
    ) -> ModelInUse:
        started = time.perf_counter()
        progress("load", 0, 0)
        from polydraft.lsp_server.wiring import ModelProvider

        if self._provider is None:
            self._provider = ModelProvider()
        completer = self._provider.bring(model, progress, budget_bytes)
        loaded = completer.loaded
        return ModelInUse(
            completer,
            loaded.name,
            loaded.device,
            loaded.weights,
            time.perf_counter() - started,
        )

    def pair(self, small: ModelInUse, large: ModelInUse, switching: Switching) -> Completer:
        assert self._provider is not None  # which has loaded both
        return self._provider.pair(small.completer, large.completer, switching)

    def pair_under(self, small: ModelInUse, large: ModelInUse, policy: Policy) -> Completer:
        from polydraft.lsp_server.wiring import ModelCompleter, pair_under
        from polydraft.models.registry import load_registry

        assert isinstance(small.completer, ModelCompleter)
        assert isinstance(large.completer, ModelCompleter)
        return pair_under(small.completer, large.completer, policy, load_registry())


def _shown(path: Path | None, root: Path | None) -> str:
    """How the prompt names the file."""
    if path is None:
        return ""
    return path.relative_to(root).as_posix() if root is not None else path.name
