"""The first promises, thrown at and counted: a command with a seed and a count, run small in CI."""
