"""What params.yaml says of a method; apart, since the code of every stage reaches it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MethodSettings:
    """A method's network below ``models/<profile>``, its small faces below ``data/<profile>``."""

    model: str
    faces: str

    @property
    def restored_by(self) -> str:
        """The network that restored its small faces; empty if they are resized by bicubic."""
        folder, _, name = self.faces.partition("/")
        return name if folder == "restored" else ""
