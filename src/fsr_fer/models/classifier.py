"""What a network must offer to be a method, and to be trained by the stage ``finetune``."""

from torch import Tensor, nn


class FaceClassifier(nn.Module):
    """A network from standardised faces [B, 3, 100, 100] to classes."""

    class_names: tuple[str, ...] = ()
    """The classes of the logits; set them before saving, loading sets them."""

    def logits(self, faces: Tensor, half: bool = False) -> Tensor:
        """Logits [B, classes]; ``half``: convolutions may compute in bfloat16."""
        raise NotImplementedError

    def project_gradient(self) -> None:
        """Called between backward pass and step, for weights on a manifold."""

    def retract(self) -> None:
        """Called after each change of the weights, for those on a manifold."""
