"""What an editor's menu of models needs to know of each: `polydraft/models`."""

from __future__ import annotations

from polydraft.lsp_server.messages import KnownModel
from polydraft.lsp_server.models_command import READY, state_of
from polydraft.models.registry import load_registry


def known_models() -> tuple[KnownModel, ...]:
    """The registry's models, in its order; looks at the disk, never at the network.

    A broken models.toml of the user's own raises `ModelError`, which says where.
    """
    registry = load_registry()
    return tuple(
        KnownModel(
            name=spec.name,
            family=spec.family,
            parameters=spec.parameters,
            cached=state.state == READY,
            bytes=state.size or spec.bytes,
            large_models=registry.larger_siblings(spec),
        )
        for spec in registry
        for state in (state_of(spec),)
    )
