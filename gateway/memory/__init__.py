"""What the gateway remembers: predictions, off the request's path; feedback; and the spool between."""
