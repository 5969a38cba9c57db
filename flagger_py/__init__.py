"""flagger-py: a progressive-delivery controller for Kubernetes."""

from importlib.metadata import version

__version__ = version("flagger-py")
