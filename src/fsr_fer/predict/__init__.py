"""Reading the expressions of small faces in pictures: ``fsr-fer predict`` and ``fsr_fer.load``.

Needs NumPy, Pillow and onnxruntime; nothing of the pipeline.
"""
