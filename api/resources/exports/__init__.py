"""Files of finished students for other runtimes."""
