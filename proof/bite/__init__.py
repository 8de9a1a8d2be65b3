"""Deliberate faults, planted one at a time in a copy of the source: is each of them noticed?"""
