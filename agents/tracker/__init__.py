"""Where every task stands, and room for new ones."""

from agents.tracker.janitor import Janitor
from agents.tracker.tracker import Tracker, tasks_bucket

__all__ = ["Janitor", "Tracker", "tasks_bucket"]
