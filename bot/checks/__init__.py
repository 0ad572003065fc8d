"""What `agentpager check` finds beyond the shape of each file."""
