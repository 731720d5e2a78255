"""Clues: what rules find things with, each worked out for all the rules that need it."""
