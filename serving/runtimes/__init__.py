"""The programs that run models: found, started, waited for and stopped."""
