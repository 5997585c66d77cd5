"""Tests of `mpbake.review.grants`."""
