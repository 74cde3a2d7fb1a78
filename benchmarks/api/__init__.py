"""What the API costs beside what it could cost at least, and beside its peers."""
