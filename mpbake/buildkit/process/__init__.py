"""The processes of docker: started through python-on-whales, supervised, cancelled."""
