"""The model servers of each environment: where they are, how they are asked, and what is made of failures."""
