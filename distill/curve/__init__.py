"""A Q curve as a table, a picture and a text. Torch-free; matplotlib is imported when a picture is asked for."""

from distill.curve._picture import to_png, to_svg
from distill.curve._reading import reading
from distill.curve._table import to_csv

__all__ = ["reading", "to_csv", "to_png", "to_svg"]
