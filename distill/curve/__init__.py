"""A Q curve as a table, a picture and a text. Torch-free; matplotlib is imported when a picture is asked for."""

from distill.curve.interpretation import reading
from distill.curve.picture import to_png, to_svg
from distill.curve.table import to_csv

__all__ = ["reading", "to_csv", "to_png", "to_svg"]
