"""Members of zip and tar archives that hold pictures."""
