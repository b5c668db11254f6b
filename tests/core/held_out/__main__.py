"""Print how many samples are judged as their labels say, and those that are not."""

from __future__ import annotations

import sys
from collections import Counter

from tests.core.held_out import samples

total: Counter[str] = Counter()
right: Counter[str] = Counter()
blamed: Counter[str] = Counter()
for sample in samples():
    for label in (sample.label, "all"):
        total[label] += 1
        right[label] += sample.agrees
        blamed[label] += sample.is_blamed
    if not sample.agrees or sample.is_blamed:
        rule = sample.verdict.rule if sample.verdict else "no refusal"
        sys.stdout.write(f"{sample.label}, by {rule}: {sample.text}\n")
for label, count in total.items():
    share = right[label] / count
    sys.stdout.write(f"{label:8}{right[label]:5} of{count:5} told apart ({share:.1%}), {blamed[label]} blamed\n")
