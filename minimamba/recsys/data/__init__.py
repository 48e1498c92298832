"""From an interaction log in a file to sequences to train on."""
