"""Docker's processes: started through python-on-whales, supervised and cancelled."""
