"""`python -I -m polydraft.lsp_server`: the same command as `polydraft`."""

from polydraft.lsp_server.cli import main

if __name__ == "__main__":
    main()
