"""The audit: rules held against files, their drafts made findings."""
