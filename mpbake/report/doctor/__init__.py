"""The results of `mpbake doctor` as text and as JSON."""
