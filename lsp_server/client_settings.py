"""Settings as the editor holds them: asked for, and watched where the editor can watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lsprotocol import types

from polydraft.lsp_server.documents import path_of
from polydraft.lsp_server.imports import language_of, source_endings
from polydraft.lsp_server.settings import FILE_NAME
from polydraft.monitors.analysis import Changed, FileChange

if TYPE_CHECKING:
    from polydraft.lsp_server.server import PolydraftServer

logger = logging.getLogger(__name__)

SECTION = "polydraft"
_IGNORE_FILES = (".gitignore", ".polydraftignore")
_TIMEOUT = 5.0  # seconds until polydraft goes on without the editor's settings


async def pull_settings(ls: PolydraftServer) -> None:
    """Ask the editor for the settings, for each folder if it knows folders, and apply them."""
    folders = ls.folders() if ls.can("workspace.workspace_folders") else []
    items = [types.ConfigurationItem(folder.uri, SECTION) for folder in folders]
    params = types.ConfigurationParams(items or [types.ConfigurationItem(section=SECTION)])
    try:
        async with asyncio.timeout(_TIMEOUT):
            sections = await ls.workspace_configuration_async(params)
    except Exception as error:
        logger.warning("the editor did not give its settings: %r", error)
        return
    if not folders:
        ls.session.configure(sections[0] if sections else None)
    for folder, section in zip(folders, sections, strict=False):
        ls.session.configure(section, folder.path)


async def changed_configuration(
    ls: PolydraftServer, params: types.DidChangeConfigurationParams
) -> None:
    if ls.can("workspace.configuration"):
        await pull_settings(ls)
    elif isinstance(params.settings, Mapping):
        ls.session.configure(params.settings.get(SECTION))


def changed_files(ls: PolydraftServer, params: types.DidChangeWatchedFilesParams) -> None:
    names = {unquote(change.uri).rsplit("/", 1)[-1] for change in params.changes}
    if FILE_NAME in names:
        ls.session.reread_settings()
    if not names.isdisjoint(_IGNORE_FILES):
        ls.session.forget_drafts()
    paths = [(path_of(change.uri), change.type) for change in params.changes]
    sources = [
        FileChange(str(path), Changed(how.value))
        for path, how in paths
        if path is not None and language_of(path)
    ]
    if sources:
        ls.session.files_changed(sources)


async def changed_folders(ls: PolydraftServer, _: types.DidChangeWorkspaceFoldersParams) -> None:
    """New folders begin to load their models when their settings are known."""
    ls.knows_folders = True
    ls.session.set_folders(ls.folders())
    if ls.can("workspace.configuration"):
        await pull_settings(ls)
    ls.session.start()


async def register_watchers(ls: PolydraftServer) -> None:
    """Ask to be told of changed settings and files, as far as the editor can."""
    wanted = []
    if ls.can("workspace.did_change_configuration.dynamic_registration"):
        wanted.append(
            types.Registration(
                "polydraft-settings",
                types.WORKSPACE_DID_CHANGE_CONFIGURATION,
                {"section": SECTION},
            )
        )
    watches_files = ls.can("workspace.did_change_watched_files.dynamic_registration")
    if watches_files:
        watched = (FILE_NAME, *_IGNORE_FILES, f"*.{{{','.join(source_endings())}}}")
        names = ("/".join(("**", name)) for name in watched)
        wanted.append(
            types.Registration(
                "polydraft-files",
                types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
                types.DidChangeWatchedFilesRegistrationOptions(
                    [types.FileSystemWatcher(glob_pattern=name) for name in names]
                ),
            )
        )
    if not wanted:
        return
    try:
        await ls.client_register_capability_async(types.RegistrationParams(wanted))
    except Exception as error:
        logger.warning("the editor declined to watch files: %r", error)
        return
    ls.session.workspaces.watched = watches_files
