"""The shipped model compared with a plain network, both on FER+'s 3,161 test faces.

The plain network was trained on full-size faces alone and gets small ones upsampled: the method
``bicubic`` of metrics/ferplus/accuracy.json. The shipped model: metrics/real_faces/packed.json.
"""

COMPARISON: dict[str, list[float]] = {
    "pixels": [13, 15, 17, 20, 25, 34, 100],
    "model": [0.732, 0.7643, 0.7779, 0.7985, 0.8206, 0.8276, 0.8345],
    "plain": [0.4783, 0.5109, 0.5637, 0.6378, 0.7374, 0.7947, 0.8323],
}
"""Accuracy, 0 to 1, by the face's side in pixels."""
