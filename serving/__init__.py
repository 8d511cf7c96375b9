"""From bundle to answers: Triton repository, transformer, runtimes, deployers, promotion, batch scoring."""
