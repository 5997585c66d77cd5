"""Drivers: the rules of each, one module for each driver, and the table of all."""
