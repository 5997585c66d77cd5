"""Builders and their nodes: driver options, TLS, and builders that somebody else made."""
