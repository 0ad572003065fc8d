"""What a runbook may do by itself: requests to declared webhooks, approved by people. Pure."""
