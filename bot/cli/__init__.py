"""The `agentpager` command."""
