"""Points staging at the accepted version."""
