"""Rule YAML becomes checked rules; query results over time become alerts."""
