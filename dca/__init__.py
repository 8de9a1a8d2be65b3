"""The DCA bot: read model, ledger, lifecycle, strategy, then trader (docs/decisions.md says why)."""
