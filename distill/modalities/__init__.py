"""Data of one kind each: how it is opened, decoded, batched and prepared for a network."""
