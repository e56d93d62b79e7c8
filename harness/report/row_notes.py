"""What is to be known of a row, as notes: why it says what it says, and what else its trials showed."""

from __future__ import annotations

from harness.measures.metrics import METRICS
from harness.model.metrics import Metric
from harness.model.notes import Note
from harness.model.path import WHOLE
from harness.model.trial import UNDERLAY
from harness.report import notes
from harness.report.arms import Arm
from harness.report.ceilings import is_bounded_by_headers
from harness.report.contrasts import Against
from harness.report.drafts import Compared, Draft
from harness.truth import stats, verdicts


def notes_of_row(
    run: Compared, draft: Draft, answer: verdicts.Answer | None, verdict: verdicts.Verdict | None
) -> tuple[Note, ...]:
    """Return the notes of a row, made of its draft, of what its interval says, and of its verdict."""
    contrast, cell, metric, match = draft.contrast, draft.cell, draft.metric, draft.match
    names = (contrast.profile, contrast.baseline)
    lacking = metric.ceiling and draft.ratio and run.meta and draft.ceiling is None and is_bounded_by_headers(cell)
    lacking = lacking and names[0] != names[1] and contrast.against is not Against.OWN_MTU
    unlike = contrast.against is Against.PROFILE and contrast.baseline != UNDERLAY
    unlike = unlike and contrast.baseline_cell(cell).mtu != run.nic_mtu
    return notes.known(
        [
            notes.path_state(names[0], match.our_state, match.share),
            notes.path_state(names[1], match.base_state, match.share) if match.base_state != WHOLE else None,
            notes.no_ceiling(names[0], cell, match.our_state) if lacking else None,
            *(notes.lost(name, arm) for name, arm in zip(names, (draft.ours, draft.base), strict=True)),
            *(_of_udp(*one, metric) for one in zip(names, (draft.ours, draft.base), strict=True)),
            _of_tcp(run, draft) if draft.ceiling else None,
            notes.switched(contrast.profile, contrast.switch, metric, draft.ratio, verdict),
            *(
                notes.zeros(name, len(arm.zeros(metric)))
                for name, arm in zip(names, (draft.ours, draft.base), strict=True)
            ),
            notes.other_baseline_mtu(names[1], run.nic_mtu, cell.mtu) if unlike else None,
            notes.few_blocks(len(match.ours)) if metric.better else None,
            notes.few_setups(match.samples) if metric.better else None,
            notes.wide(answer, run.margin, "set-up" if match.samples else "block", of_shares=bool(metric.tries)),
            notes.single_threaded(cell, run.meta),
        ]
    )


def _of_udp(profile: str, arm: Arm, metric: Metric) -> Note | None:
    """Say beside a loss, or a rate that was searched for, that the path was not its reason."""

    def median(name: str) -> float | None:
        return stats.median(arm.figures(METRICS[name]).tolist())

    if metric.name == "udp_loss_ratio":
        return notes.late(profile, median(metric.name), median("late_ratio"))
    if metric.name == "packets_per_s":
        return notes.senders_limit(profile, median("unsent_ratio"), median("unsent_cpu_ratio"))
    return None


def _of_tcp(run: Compared, draft: Draft) -> Note | None:
    """Say beside a goodput which share of it went out twice."""
    resent = stats.median(draft.ours.figures(METRICS["retransmits"]).tolist())
    if run.meta is None or resent is None:
        return None
    per_s = resent / run.meta.plan.timing.duration_s
    goodput = stats.median(draft.figures[0])
    return notes.sent_again(draft.contrast.profile, draft.cell, draft.match.our_state, goodput, per_s)
