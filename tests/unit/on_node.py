"""What runs on a node, imported as Ansible does: from a folder that is part of ansible.module_utils."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"


def module_utils(name: str) -> ModuleType:
    """Return one of playbooks/module_utils."""
    package = importlib.import_module("ansible.module_utils")
    folder = str(PLAYBOOKS / "module_utils")
    if folder not in package.__path__:
        package.__path__.append(folder)
    return importlib.import_module(f"ansible.module_utils.{name}")


def library(name: str) -> ModuleType:
    """Return one of playbooks/library."""
    module_utils("harness_node")
    spec = importlib.util.spec_from_file_location(f"library_{name}", PLAYBOOKS / f"library/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
