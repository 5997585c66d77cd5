"""`.mpbake/`: the run lock, records of earlier runs, and the logs of each run."""
