"""Audit rules: one module per rule, each with a RULE.  Adding a rule is adding a file."""
