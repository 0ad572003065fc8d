"""Ways to a person besides Slack: e-mail and signed webhooks. Implements ports.Messenger."""
