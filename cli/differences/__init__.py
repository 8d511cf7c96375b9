"""Where one machine and a cluster differ: found in the code, named once, written into the documents."""
