"""The parts of training: schedule, optimiser, checkpoints, cached targets, the probe and the divergence guard.

`distill.train.train` puts them together; nothing here knows of jobs, phases or files outside its own folder.
"""
