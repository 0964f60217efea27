"""The layers around a process that reads untrusted input: namespaces, Landlock, seccomp, rlimits, capabilities.

Everything here runs inside the child, before it imports anything that parses input; `sandbox` alone runs in the
parent, and starts it.
"""
