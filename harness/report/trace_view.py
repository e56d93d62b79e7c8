"""What every report of a trace says, in the order in which it is told: made once here, drawn as text or Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.model.trace import Clock, Decision, Frame, Hop, Layer, Loss, Place, Point, StepTime, Trace, Walk
from harness.report import trace_layers
from harness.report.trace_names import Names, plain

CAPTURES = (
    "A frame is stamped when it leaves the queue towards its device: waiting in a qdisc counts to the step before.",
    "A frame that has come in by one device keeps that time for all that it is handed up to: such steps read 0.",
    "A bridge hands its copy of what it sends to a capture late: a step out of it may be below 0.",
    "Of several packets the first is not counted, for it finds caches empty.",
    "Capturing takes time at each point: compare steps with each other, and take latency from a run without a trace.",
)
UNCHANGED = "A hop of which nothing more is said saw the same headers as the hop before."
_US = 1e6
_WAYS = ("request", "reply")


@dataclass(frozen=True)
class HopView:
    """One hop: where (`eth0@k8s-1`), when, how large, and what is new here: label and text, nothing if nothing is."""

    number: int
    where: str
    about: str
    since: str
    size: str
    facts: tuple[tuple[str, str], ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class WalkView:
    """One packet: its hops, and what is known of its loss: label and text, nothing where it arrived."""

    name: str
    summary: str
    hops: tuple[HopView, ...]
    lost: str
    loss: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TraceView:
    """A trace as it is told, from the bottom line to the legend.

    `times` are rows of kind, step's start and end, count, median, and both quartiles in microseconds; `points` rows of
    number, node, device, place and MTU; `legend` rows of address, its short form and its owner.
    """

    title: str
    bottom_lines: tuple[str, ...]
    command: str
    said: tuple[str, ...]
    points: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str, str], ...]
    walks: tuple[WalkView, ...]
    times: tuple[tuple[str, ...], ...]
    clock: tuple[str, ...]
    notes: tuple[str, ...]


def view(trace: Trace) -> TraceView:
    """Return what there is to say of a trace."""
    names = Names(trace.owners)
    return TraceView(
        title=plain(
            f"Trace of {trace.profile} at MTU {trace.mtu} (lab {trace.lab}): "
            f"{trace.nodes[0]} {trace.source} -> {trace.nodes[1]} {trace.destination}"
        ),
        bottom_lines=bottom_lines(trace),
        command=plain(trace.command),
        said=tuple(plain(line) for line in trace.said.splitlines() if line.strip()),
        points=tuple(_point(point) for point in trace.points),
        legend=tuple(names.legend()),
        walks=tuple(_walk(trace, walk, names) for walk in trace.walks),
        times=tuple(_time(step) for step in trace.times if _is_known(trace, step)),
        clock=(clock_sentence(trace), *CAPTURES) if trace.walks or trace.times else (),
        notes=tuple(plain(note) for note in trace.notes),
    )


def bottom_lines(trace: Trace) -> tuple[str, ...]:
    """Return a line for each exchange: from where to where, over how many hops, how large here and on the wire."""
    counts = (f"{trace.sent} sent, {trace.answered} answered",) if trace.sent else ()
    if not trace.walks:
        return ("No packet was seen on its way", *counts)
    return (*(_bottom_line(trace, name, walks) for name, walks in exchanges(trace.walks).items()), *counts)


def exchanges(walks: Sequence[Walk]) -> dict[str, list[Walk]]:
    """Return walks by the name they share: `echo 1` for `echo 1 request` and `echo 1 reply`, in either order."""
    found: dict[str, list[Walk]] = {}
    for walk in walks:
        shared = [word for word in walk.name.split() if word not in _WAYS]
        found.setdefault(" ".join(shared) or walk.name, []).append(walk)
    return found


def _bottom_line(trace: Trace, name: str, walks: Sequence[Walk]) -> str:
    first = walks[0]
    ends = plain(f"{name}: {_ends(trace, first)}" if first.hops else name)
    lost = next((walk for walk in walks if walk.loss), None)
    if lost is not None and lost.loss is not None:
        kind = next((word for word in lost.name.split() if word in _WAYS), "")
        return plain(f"{ends}: {kind}{' ' if kind else ''}LOST {_where(lost.loss)}: {lost.loss.cause}")
    if not first.hops:
        return f"{ends}: seen nowhere"
    hops = " + ".join(str(len(walk.hops)) for walk in walks)
    back = " and back" if len(walks) > 1 else ""
    word = "hop" if hops == "1" else "hops"
    return f"{ends}{back}, {hops} {word}, {trace_layers.size_text(first.hops[0])}, {on_wire(first)}"


def on_wire(walk: Walk) -> str:
    """Return how large a packet is on the wire, and what it carries there that it was not sent with."""
    wire = max((hop for hop in walk.hops if hop.point.place is Place.NIC), key=trace_layers.total, default=None)
    if wire is None:
        return "seen on no NIC"
    size = trace_layers.size_text(wire).replace(" bytes", "")
    more = trace_layers.total(wire) - trace_layers.total(walk.hops[0])
    if more <= 0:  # less than none: a burst of TCP segments, of which one is shown
        return f"{size} on the wire{f' ({more:+d})' if more else ''}"
    coat = ", ".join(f"{header} {count}" for header, count in trace_layers.added(walk.hops[0], wire))
    return f"{size} on the wire ({more:+d}{': ' if coat else ''}{coat})"


def _ends(trace: Trace, walk: Walk) -> str:
    found = trace_layers.addresses(trace_layers.readable(walk.hops[0].frames).layers)
    nodes = dict(zip((trace.source, trace.destination), trace.nodes, strict=True))
    at = (walk.hops[0].point.node, walk.hops[-1].point.node)
    if len(found) != len(at):
        return f"{walk.hops[0].point} -> {walk.hops[-1].point}"
    return " -> ".join(f"{nodes.get(address, node)} {address}" for address, node in zip(found, at, strict=True))


def _where(loss: Loss) -> str:
    if loss.after and loss.after == loss.before:
        return f"at {loss.after}"
    after = f"after {loss.after}" if loss.after else "before the first point"
    return f"{after}, on the way to {loss.before}" if loss.before else after


def _walk(trace: Trace, walk: Walk, names: Names) -> WalkView:
    sent = trace_layers.addresses(trace_layers.readable(walk.hops[0].frames).layers) if walk.hops else ()
    seen: dict[tuple[str, str, int], str] = {}
    hops = []
    for number, hop in enumerate(walk.hops):
        before = walk.hops[number - 1] if number else None
        facts = [("changed", plain(change)) for change in hop.changes]
        cuts = trace_layers.fragments(hop)
        facts += [("fragment", cut) for cut in cuts if before is None or cuts != trace_layers.fragments(before)]
        facts += _headers(hop.frames, sent, seen, names)
        size = trace_layers.size_text(hop)
        more = trace_layers.total(hop) - trace_layers.total(before) if before else 0
        hops.append(
            HopView(
                number + 1,
                plain(str(hop.point)),
                f"{place_text(hop.point)}, MTU {hop.point.mtu}",
                since_text(trace, walk, hop),
                f"{size} ({more:+d})" if more else size,
                tuple(facts),
                hop.decisions,
            )
        )
    loss = walk.loss
    lost = plain(f"LOST {_where(loss)}") if loss else ""
    return WalkView(plain(walk.name), plain(walk.summary), tuple(hops), lost, _loss(loss) if loss else ())


def _headers(
    frames: Sequence[Frame], sent: Sequence[str], seen: dict[tuple[str, str, int], str], names: Names
) -> list[tuple[str, str]]:
    """Return the headers that say something new; `seen` remembers what each said last."""
    coats = trace_layers.coats(trace_layers.readable(frames), sent)
    was_bare = not any(key[0] == "outer" for key in seen)
    if not coats.outer:
        for key in [key for key in seen if key[0] == "outer"]:
            del seen[key]
    facts, same = [], []
    for key, (label, layer) in coats.named().items():
        text = _described(layer, names)
        if seen.get(key) != text:
            facts.append((label, text))
        elif key[0] == "inner":
            same.append(label.removeprefix("inner "))
        seen[key] = text
    if coats.outer and was_bare and coats.inner and same:
        facts.append(("inner", f"{', '.join(same)}: as before"))
    if coats.outer and was_bare and not coats.inner:
        facts.append(("inner", "not readable here: encrypted, or in a form that is not decoded"))
    return facts


def _described(layer: Layer, names: Names) -> str:
    return plain(trace_layers.described(layer, names))


def _loss(loss: Loss) -> tuple[tuple[str, str], ...]:
    rows = [("cause", loss.cause), ("fact", loss.fact), *(("counted", counter) for counter in loss.counted)]
    return tuple((label, plain(text)) for label, text in [*rows, ("advice", loss.advice)] if text.strip())


def since_text(trace: Trace, walk: Walk, hop: Hop) -> str:
    """Return the time since a packet's first hop; where clocks are apart, since its first hop on the same node."""
    if trace.clock is not Clock.APART or hop.point.node == walk.hops[0].point.node:
        return f"{_us(hop.since_s, sign=True)} µs"
    start = next(other for other in walk.hops if other.point.node == hop.point.node)
    return f"{_us(hop.since_s - start.since_s, sign=True)} µs on {plain(hop.point.node)}"


def clock_sentence(trace: Trace) -> str:
    """Say whose clock the times are of, and what follows for steps between nodes."""
    first, second = map(plain, trace.nodes)
    if trace.clock is Clock.SHARED:
        return "Both nodes run on one kernel, so all times are of one clock."
    if trace.clock is Clock.ALIGNED:
        side = "ahead" if trace.offset_s >= 0 else "behind"
        return (
            f"{first} and {second} have a clock each; {second}'s was {_us(abs(trace.offset_s))} µs {side} and is set "
            "right here, supposing that the wire takes equally long both ways: a step from node to node is half of the "
            "way there and back, and says nothing on either way alone."
        )
    return (
        f"{first} and {second} have a clock each, and nothing was there to bring them together: times count "
        "from a packet's first hop on each node, and the time from node to node is not known."
    )


def _time(step: StepTime) -> tuple[str, ...]:
    figures = (_us(value) for value in (step.median_s, step.lower_s, step.upper_s))
    return (plain(step.kind), plain(str(step.start)), plain(str(step.end)), str(step.count), *figures)


def _is_known(trace: Trace, step: StepTime) -> bool:
    """Leave out steps between clocks that nothing has brought together."""
    return trace.clock is not Clock.APART or step.start.node == step.end.node


def place_text(point: Point) -> str:
    """Return what a point is, as a reader knows it."""
    return "NIC" if point.place is Place.NIC else point.place.value


def _point(point: Point) -> tuple[str, ...]:
    return (str(point.number + 1), plain(point.node), plain(point.device), place_text(point), str(point.mtu))


def _us(seconds: float, *, sign: bool = False) -> str:
    rounded = round(seconds * _US, 1) + 0.0  # no negative zero
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"
