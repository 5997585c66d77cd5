"""The rules of drivers: one module for each driver, and the table of all drivers."""
