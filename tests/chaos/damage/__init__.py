"""Damaged and foreign files in the output."""
