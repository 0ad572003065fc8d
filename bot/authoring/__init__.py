"""Runbooks as their authors see them, before the incident: what they lack, how they will look, what they may say."""
