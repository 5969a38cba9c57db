"""Plug-in point 2: metric providers, and what the controller does with their numbers (queries, templates, judgements)."""
