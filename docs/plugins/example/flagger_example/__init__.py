"""An example plug-in for flagger-py."""
