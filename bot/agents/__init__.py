"""The agent registry: who owns each agent, and the registry as series that rules can join on."""
