"""What params.yaml says of a method; apart, since the code of every stage reaches it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """A method's network below ``models/<profile>``, its small faces below ``data/<profile>``."""

    model: str
    faces: str
