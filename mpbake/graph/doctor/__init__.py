"""`mpbake doctor`: facts about docker, nodes, registries and disks, and the checks that judge them. Pure."""
