"""The inputs an implementation is tried on: drawn, sized, shrunk."""
