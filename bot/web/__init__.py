"""HTTP: health, own metrics, query and incident API, Slack events."""
