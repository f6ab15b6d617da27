"""Where files lie: those of the graph, in the top folder, and those of a profile."""

from pathlib import Path

PARAMS_FILE, PIPELINE_FILE, LOCK_FILE = Path("params.yaml"), Path("dvc.yaml"), Path("dvc.lock")
CODE_FILE, SETTINGS_FILE = Path("code.json"), Path("settings.json")
"""What the stages ``code`` and ``settings`` write."""


class Paths:
    """The files of one profile, below the project's folder; arrays with their shapes."""

    def __init__(self, profile: str) -> None:
        self.data = Path("data", profile)
        self.models = Path("models", profile)
        self.metrics = Path("metrics", profile)  # what Git keeps
        self.dataset = self.data / "dataset"
        self.images = self.dataset / "images.npy"  # uint8 [N, 100, 100, 3]
        self.manifest = self.dataset / "manifest.csv"

    def downsampled(self, scale: int | str) -> Path:
        """All faces downsampled, uint8 [N, n, n, 3]."""
        return self.data / f"downsample/x{scale}.npy"

    def features(self, size: str) -> Path:
        """Features of train and validation faces at a size ("hr", "x2"), see ``write_features``."""
        return self.data / f"features/train/{size}.npy"

    def network(self, name: str = "pretrain") -> Path:
        """A trained network: the extractor, or one such as "fsr/plain"."""
        return self.models / f"{name}.safetensors"

    def restored(self, method: str, scale: int) -> Path:
        """Test faces that a method of image super-resolution made, uint8 [N, 100, 100, 3]."""
        return self.data / f"restored/{method}/x{scale}.npy"

    def predictions(self, method: str) -> Path:
        return self.data / f"predictions/{method}.csv"
