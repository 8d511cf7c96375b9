"""Ray as every process uses it: opened for a block, or asked to run a command as a job."""
