"""Metamorphic relations: what must hold between two calls of any right implementation."""
