"""Notifiers: what an alert looks like for each chat service (metrics:§4.2). Pure; the controller sends what they render."""
