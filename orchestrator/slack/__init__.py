"""Slack: our side of its Web API, and of the clicks that come from it."""
