"""Defaults and rules of the built-in kinds, as far as a progressive-delivery controller and its users meet them."""
