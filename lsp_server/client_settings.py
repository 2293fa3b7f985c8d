"""Settings as the editor holds them: asked for, and watched where the editor can watch."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from lsprotocol import types

from polydraft.lsp_server.settings import FILE_NAME

if TYPE_CHECKING:
    from polydraft.lsp_server.server import PolydraftServer

logger = logging.getLogger(__name__)

SECTION = "polydraft"
IGNORE_FILES = (".gitignore", ".polydraftignore")
_TIMEOUT = 5.0  # seconds until polydraft goes on without the editor's settings


async def pull_settings(ls: PolydraftServer) -> None:
    """Ask the editor for the settings and apply what it says."""
    params = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
    try:
        async with asyncio.timeout(_TIMEOUT):
            sections = await ls.workspace_configuration_async(params)
    except Exception as error:
        logger.warning("the editor did not give its settings: %r", error)
        return
    ls.session.configure(sections[0] if sections else None)


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
        names = ("/".join(("**", name)) for name in (FILE_NAME, *IGNORE_FILES))
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
    ls.session.settings.watched = watches_files
