"""Networks of other classes than the extractor's that the stage ``finetune`` can train.

Apart from the code of files and of other networks: a new one repeats no other training than those
of ``finetune`` and ``distill``.
"""

from fsr_fer.models.classifier import FaceClassifier

NETWORKS: dict[str, type[FaceClassifier]] = {}
"""By the name under ``network`` in params.yaml; each is made from the number of classes alone."""
