"""The programs that CI systems and hooks run."""
