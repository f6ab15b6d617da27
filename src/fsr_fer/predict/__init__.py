"""Prediction of the expressions of small faces: ``fsr-fer predict`` and ``fsr_fer.load``.

Needs NumPy, Pillow and onnxruntime; nothing of the pipeline.
"""
