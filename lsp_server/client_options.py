"""What a client says about itself when it connects; it holds for all of its workspace folders.

Only the editor can say that its workspaces are trusted, and only here
(`initializationOptions.trusted`): a setting can come from the workspace itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polydraft.lsp_server.settings import Parsed, parse

_SOURCE = "initializationOptions"
_SWITCHES = ("calls", "stream", "trusted")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """`stream`: tell drafts before they are final. `calls`: tell what each call cost.

    `settings` are the client's, over the workspace's file.
    """

    trusted: bool = False
    stream: bool = False
    calls: bool = False
    settings: Parsed = Parsed()


def parse_options(raw: object) -> ClientOptions:
    """Read `initializationOptions`; what is wrong is among the settings' problems."""
    if not isinstance(raw, Mapping):
        return ClientOptions(settings=parse(raw, _SOURCE))
    switches = {name: raw[name] for name in _SWITCHES if isinstance(raw.get(name), bool)}
    problems = [
        f'{_SOURCE}: "{name}" must be true or false.'
        for name in _SWITCHES
        if name in raw and name not in switches
    ]
    settings = parse({key: raw[key] for key in raw if key not in _SWITCHES}, _SOURCE)
    all_problems = (*problems, *settings.problems)
    return ClientOptions(**switches, settings=Parsed(settings.values, all_problems))
