"""The limits of one request, and the exception for a refused one."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may have; more is a 4xx that says so."""

    bytes: int = 10 * 2**20
    """Of the whole request."""
    pictures: int = 16
    pixels: int = 32_000_000
    """Of all its pictures and all its boxes together: the memory that reading takes."""
    searched: int = 40_000_000
    """Pixels of all its pictures in which faces of 20 pixels are looked for, a quarter of a second
    of one core a million; looking for faces of 10 pixels each counts as four."""
    faces: int = 256
    """Boxes that are given, and faces that are found."""
    seconds: float = 20.0
    """From the request's head to its answer."""
    requests: int = 64
    """At a time."""


class Refused(HTTPException):
    """A request that is not answered: the status, and one line that says what would be right."""
