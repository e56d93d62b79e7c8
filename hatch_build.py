"""What goes into a wheel beside the package: the top-level folders that harness/model/shipped.py finds, and man pages.

Files that a checkout may hold beside these, such as an inventory of one's own, stay out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (
    "playbooks",
    "Vagrantfile",
    "inventory/example.yml",
    "inventory/vagrant.yml",
    "kubernetes",
    "results/sample",
)
MAN = "man"
"""Where `make man` writes, which `make dist` does first; a wheel without man pages can be built as well."""


class Shipped(BuildHookInterface[Any]):
    """Adds them to `build_data`; an editable install finds them where they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Tell the builder of the wheel where each goes."""
        if version == "editable":
            return
        root = Path(self.root)
        build_data["force_include"] |= {str(root / name): f"harness/shipped/{name}" for name in SHIPPED}
        if (root / MAN).is_dir():
            build_data["shared_data"] |= {str(page): f"share/man/man1/{page.name}" for page in (root / MAN).glob("*.1")}
