"""`harness examples`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import click

from harness.model import shipped

EXAMPLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "What does an overlay cost?": {
            "sudo harness run --plan answer": "Makes two nodes on this machine and says what VXLAN costs between them, "
            "in a minute.",
            "sudo harness run --profile flannel,host-gw --mtu 1450 --flows 1,8": "Tells what of flannel's cost is the "
            "container's path, and what the tunnel.",
            "sudo harness run --profile vxlan --measure ping,loaded-ping --flows 4": "The round trip, with "
            "an idle path and with a full one.",
            "sudo harness run --profile vxlan,udp-userspace --rate none --flows 1": "With no limit on the "
            "link, so that the CPU decides.",
            "harness plan --profile flannel,vxlan --plan standard": "What a run would do, and how long that takes.",
        },
        "On hosts of your own": {
            "harness doctor --lab mine.yml --profile vxlan": "Whether they have all that a run needs, and what would "
            "be in its way.",
            "harness run --lab mine.yml --profile vxlan --plan answer": "Sets VXLAN up between them, measures it, and "
            "takes it away.",
            "harness run --lab mine.yml --between web-1,web-2": "Measures a path that is there already, as it is, "
            "between two containers.",
            "harness run --lab kubernetes --profile cluster": "The network of a Kubernetes cluster, between pods on "
            "two of its nodes.",
        },
        "We run flannel's vxlan: what does it cost us, is host-gw or wireguard worth it?": {
            "harness run --lab mine.yml --profile flannel,host-gw,wireguard --plan answer": "On two "
            "hosts of your own. The first sentence says which costs least, the next what each costs.",
            "harness run --lab kubernetes --profile cluster --plan answer": "In a cluster, as it is: "
            "what its network costs against the nodes' own, which bounds what another could win.",
        },
        "Where does a packet go?": {
            "sudo harness trace --profile vxlan": "Follows one packet through every interface and table of both nodes.",
            "sudo harness ecmp --profile vxlan": "How flows spread over several links by VXLAN's source ports.",
        },
        "What did runs find?": {
            "harness results": "Every run in results/, with its answer.",
            "harness compare results/A": "The table of a run once more; any run's folder stands for results/A.",
            "harness compare results/A results/B": "Whether B is better or worse than A.",
            "harness compare results/A results/B --fail-above 3%": "The same as a gate: exit code 1 where B is worse "
            "by more.",
            "harness report results/A -o report.html": "A page to pass on, which needs nothing else.",
            "harness history results": "All runs as series, and where their level changed.",
            "sudo harness run --resume last": "Goes on with a run that ended early.",
        },
        "A profile of your own": {
            "harness profiles": "Those that there are.",
            "harness profiles copy flannel --as mine": "A copy that runs beside the real one: other names, VNI, port "
            "and subnet.",
            "sudo harness run --profile mine --profiles-dir profiles": "Measures it.",
        },
    }
)
"""By question: command lines, each with a sentence."""


@click.command()
def examples() -> None:
    """Print the command lines that are of most use, each with a sentence."""
    from harness.cli.console import out

    for line in _lines():
        out.print(line, soft_wrap=True)


def _lines() -> Iterator[str]:
    from textwrap import fill

    indent = " " * 6
    for question, lines in EXAMPLES.items():
        yield f"{question}\n"
        for command, sentence in lines.items():
            yield f"  {command}\n{fill(sentence, 80, initial_indent=indent, subsequent_indent=indent)}"
        yield ""
    yield "Root is needed for nodes on this machine only. What came with the program, an\ninventory to copy among it:\n"
    samples = sorted(shipped.SAMPLES.glob("*/trials.csv"))
    yield f"  cp {shlex.quote(str(shipped.INVENTORIES / 'example.yml'))} mine.yml"
    if samples:
        yield f"  harness compare {shlex.quote(str(samples[-1].parent))}"
