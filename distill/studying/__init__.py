"""A study: the grid recipes x selections x seeds on one dataset, teacher and student, as one table."""
