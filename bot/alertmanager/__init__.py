"""Alertmanager's API, version 2: what its clients send as alerts and silences of ours, and ours as they read them."""
