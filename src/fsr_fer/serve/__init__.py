"""Prediction over HTTP on this machine, and a web page to try it: ``fsr-fer serve``.

Needs starlette, uvicorn and python-multipart besides what ``predict`` needs: the extra ``serve``.
"""
