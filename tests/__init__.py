"""Tests, in the folders of the code that they test."""

from pathlib import Path

from fsr_fer.common import arithmetic

arithmetic.pin()

ROOT = Path(__file__).resolve().parents[1]
