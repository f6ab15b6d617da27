"""Fingerprint the code that each stage runs: ``python -m stages.code``."""

from fsr_fer.common.files import write_json
from fsr_fer.pipeline.code_fingerprint import fingerprints
from fsr_fer.pipeline.paths import CODE_FILE
from fsr_fer.pipeline.run_stage import run_script


def main() -> None:
    """Write ``code.json``: stage script, then its fingerprint."""
    write_json(CODE_FILE, fingerprints())


if __name__ == "__main__":
    run_script(main)
