"""Check params.yaml and write the selected profile's values: ``python -m stages.settings``."""

from pathlib import Path

from fsr_fer.common.files import write_json
from fsr_fer.pipeline.git import git_bytes
from fsr_fer.pipeline.params import read_params
from fsr_fer.pipeline.paths import PARAMS_FILE, SETTINGS_FILE
from fsr_fer.pipeline.profiles import (
    edited_elsewhere,
    edits_without_effect,
    effective_values,
    parse_yaml,
)
from fsr_fer.pipeline.run_stage import run_script


def main() -> None:
    """Write ``settings.json``; report edits that the selected profile does not take."""
    params = read_params()
    write_json(SETTINGS_FILE, effective_values(params))
    committed = git_bytes(Path(), "show", f"HEAD:./{PARAMS_FILE}")
    if committed is not None:
        before = parse_yaml(committed, f"HEAD:{PARAMS_FILE}")
        for key in edits_without_effect(params, before):
            own = f"profiles.{params['profile']}"
            print(f"note: {key} has no effect: {own} replaces it; change it there")
        for name in edited_elsewhere(params, before):
            print(
                f"note: profiles.{name} has changed, and profile: {params['profile']} is selected"
            )


if __name__ == "__main__":
    run_script(main)
