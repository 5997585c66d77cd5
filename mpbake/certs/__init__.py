"""Certificates for mutual TLS with nodes: the team's certificate authority, and the certificates that it issues."""
