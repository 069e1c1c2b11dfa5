"""The report of an evaluation: one page and its Markdown twin, from what ``evaluate`` and ``experiment`` left."""
