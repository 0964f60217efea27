"""The arithmetic that losses and recipes share. No file here is a registry entry."""
