"""Who may ask, and how much: keys, scopes, rates, requests at once."""
