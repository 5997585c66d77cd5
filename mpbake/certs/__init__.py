"""Certificates for mutual TLS with nodes: a certificate authority of the team, and what it issues."""
