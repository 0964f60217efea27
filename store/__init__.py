"""Shared by API and worker: settings, tables, repositories, transition table, objects, doorbell."""
