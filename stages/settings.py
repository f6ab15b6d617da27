"""Check params.yaml and write the selected profile's values: ``python -m stages.settings``."""

from fsr_fer.files import write_json
from fsr_fer.params import SETTINGS_FILE, effective_values, read_params
from fsr_fer.stage import run_stage


def main() -> None:
    """Write ``settings.json``."""
    write_json(SETTINGS_FILE, effective_values(read_params()))


if __name__ == "__main__":
    run_stage(main)
