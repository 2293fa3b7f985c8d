"""The real editors that tests drive, installed beside the models: `make editors`."""

from tests.editors.toolchain.toolchain import MissingEditor, Toolchain

__all__ = ["MissingEditor", "Toolchain"]
