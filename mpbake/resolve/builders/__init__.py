"""Builders and their nodes: driver options, TLS, and external builders."""
