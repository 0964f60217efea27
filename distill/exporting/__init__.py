"""From a trained student to files for other runtimes, each compared with torch before it counts and then judged on the
test set."""
