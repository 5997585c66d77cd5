"""Tests of the translation of HCL expressions."""
