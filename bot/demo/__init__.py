"""A simulated agent fleet and a local Slack-like workspace with a web page."""
