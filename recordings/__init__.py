"""Recorded market data in the files that people have: recognized, read in order, and judged line by line.

Standard library only. docs/recordings.md lists the formats.
"""
