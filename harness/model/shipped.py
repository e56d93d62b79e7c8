"""Where that lies which comes with the program and is no code: beside the package in a checkout, in it once installed.

In a checkout these are the top-level folders; `hatch_build.py` puts the same files into the package of a wheel.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSIDE = _PACKAGE / "shipped"

IS_INSTALLED = _INSIDE.is_dir()
"""Whether this is a wheel's; there are no Makefile, tests and docs then, and nothing is to be written there."""
ROOT = _INSIDE if IS_INSTALLED else _PACKAGE.parent
"""Where the Vagrantfile is, and all of these are."""
PLAYBOOKS = ROOT / "playbooks"
PROFILES = PLAYBOOKS / "profiles"
ROLES = PLAYBOOKS / "roles"
INVENTORIES = ROOT / "inventory"
SAMPLES = ROOT / "results" / "sample"
