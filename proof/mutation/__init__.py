"""Single small mistakes, made by a tool in a copy of the source: does a test notice each of them?"""
