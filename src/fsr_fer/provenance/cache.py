"""DVC's cache, read without DVC."""

from __future__ import annotations

import configparser
from pathlib import Path


def cache_folder(root: Path) -> Path:
    """Where the cache is, as the project's configuration has it; clones may share one."""
    configuration = configparser.ConfigParser(strict=False, interpolation=None)
    place = "cache"
    for file in (root / ".dvc/config", root / ".dvc/config.local"):
        try:
            # DVC indents keys, which configparser may take for a line that goes on.
            lines = file.read_text(encoding="utf-8").splitlines()
            configuration.read_string("\n".join(line.strip() for line in lines))
            place = configuration.get("cache", "dir", fallback=place)
        except FileNotFoundError:
            continue
        except configparser.Error:
            break  # DVC itself will complain
    return root / ".dvc" / place


def cached_object(root: Path, md5: str) -> bytes | None:
    """What the cache keeps under an MD5; None if nothing."""
    try:
        return (cache_folder(root) / "files/md5" / md5[:2] / md5[2:]).read_bytes()
    except OSError:
        return None
