"""Offload switches of a network device, as `ethtool -k` lists them and `ethtool -K` sets them."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from ansible.module_utils.harness_node import NodeError, run

FEATURE = re.compile(
    r"(?P<indent>\s*)(?P<name>[\w-]+): (?P<value>on|off)(?P<fixed> \[fixed\])?(?: \[requested (?P<requested>on|off)\])?"
)
"""A line of `ethtool -k`. What is off and `[requested on]` waits for another one: it was switched on."""
ATTEMPTS = 2
"""Some features stay off until another one is on, in whatever order one command names them."""


def switches(listing):
    """Return how what can be switched was switched, as FEATURE -> "on" or "off", from what `ethtool -k` prints.

    A line with indented ones below it is left out: it only sums them up, and to set it sets every one of them.
    """
    found = {}
    above = None
    for line in map(FEATURE.match, listing.splitlines()):
        if line is None:  # the heading
            continue
        if line["indent"]:
            found.pop(above, None)
        else:
            above = line["name"]
        if not line["fixed"]:
            found[line["name"]] = line["requested"] or line["value"]
    return found


def switch_back(device, before):
    """Bring a device's features to what they were before; raises NodeError with the command where that does not help.

    A device that is gone, and a feature that is gone or has become fixed, have nothing to be brought back.
    """
    for _attempt in range(ATTEMPTS):
        words = _missing_words(device, before)
        if not words:
            return
        with suppress(NodeError):  # it fails as well where only some of the features would not change
            run(["ethtool", "-K", device, *words])
    words = _missing_words(device, before)
    if words:
        raise NodeError(
            f"offload of {device} is not as it was before: `ethtool -K {device} {' '.join(words)}` has failed"
        )


def _missing_words(device, before):
    """Return the words of `ethtool -K` that set what is not as before."""
    if not os.path.exists(f"/sys/class/net/{device}"):
        return []
    now = switches(run(["ethtool", "-k", device]))
    return [word for name, value in now.items() if before.get(name, value) != value for word in (name, before[name])]
