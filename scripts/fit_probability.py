"""Fit the probability of clusters that the package ships, and test it on labels of other worlds and of real frames.

    python scripts/fit_probability.py --fit WORLD=LABELS=DATA ... --test NAME=LABELS=DATA ... --dest FILE --png FILE

LABELS are output folders of `pointsam-label run`, DATA their data sets. Labels of one WORLD or NAME are pooled. The
table has the confidence of the labels, the probability, and alternatives, each fitted to the same clusters. A world
is scored by fits to the other worlds, tests by fits to all worlds. The file is that of all worlds. --png draws the
reliability of confidence and probability.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from pipelines.opened import open_run
from pointsam.base.document import document_bytes
from pointsam.base.files import write_together
from pointsam.base.tables import text_table
from pointsam.evaluate.fit_probability import JudgedClusters, fit, fit_probability
from pointsam.report.curves import Line, Panel, line_charts
from pointsam.stages.probability import DIRECTION, FEATURES


def judged(listed):
    """The clusters of NAME=LABELS=DATA, by NAME."""
    found = {}
    for text in listed:
        name, labels, data = text.split("=")
        run = open_run(Path(labels), Path(data))
        found.setdefault(name, JudgedClusters()).add_labels(run.labels, run.truth, f"{name}: {run.labels.out.name}")
    return found


def alternatives(found):
    """Name -> a function of other clusters, each fitted to the clusters."""
    values, right = np.concatenate(found.values), found.right
    score = FEATURES.index("score")
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values[:, score], right)
    signs = [DIRECTION.get(name, 0) for name in FEATURES]
    boosted = HistGradientBoostingClassifier(
        max_iter=60, max_depth=3, learning_rate=0.1, min_samples_leaf=30, monotonic_cst=signs, random_state=0
    ).fit(values, right)
    return {
        "isotonic regression of the score": lambda rows: isotonic.predict(rows[:, score]),
        "gradient boosting, monotone": lambda rows: boosted.predict_proba(rows)[:, 1],
        "share of right clusters": lambda rows: np.full(len(rows), right.mean()),
    }


def curve(name, found):
    """The reliability curve of a value."""
    bins = [one for one in found.bins if one.num_clusters]
    return Line(name, np.array([b.mean_confidence for b in bins]), np.array([b.share_right for b in bins]))


def panel(name, found, confidence, probability):
    """Reliability of both values."""
    lines = [
        curve(title, found.reliability(values))
        for title, values in (("confidence", confidence), ("probability", probability))
    ]
    ends = np.array([0.0, 1.0])
    return Panel(
        f"{name}: {len(found)} clusters", "value", "fraction right", [*lines, Line("exact", ends, ends, dashed=True)]
    )


def joined(parts):
    """The clusters of several worlds."""
    out = JudgedClusters()
    for part in parts:
        for name in ("values", "iou", "stored", "confidence", "scenes", "sources"):
            getattr(out, name).extend(getattr(part, name))
        out.classes.update(part.classes)
    return out


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", default=[])
    parser.add_argument("--dest", type=Path)
    parser.add_argument("--png", type=Path)
    args = parser.parse_args()
    worlds, tests = judged(args.fit), judged(args.test)
    whole = joined(worlds.values())
    fitted = fit_probability(whole)
    print(f"{len(whole)} clusters, {whole.right.mean():.3f} right; without effect: {', '.join(fitted.left_out)}")
    print("".join(f"{one.name} {one.weight:+.2f}\n" for one in fitted.model.features))
    elsewhere = {name: joined(part for other, part in worlds.items() if other != name) for name in worlds}
    rows, pooled = [], defaultdict(list)
    for name, test in {**worlds, **tests}.items():
        values = np.concatenate(test.values)
        found = elsewhere.get(name, whole)
        model = fit(np.concatenate(found.values), found.right, found)
        scored = {"confidence": np.concatenate(test.confidence), "probability": model.probability(values)}
        scored |= {other: value(values) for other, value in alternatives(found).items()}
        for value, numbers in scored.items():
            rows.append(row(name, value, test.reliability(numbers)))
            if name in worlds:
                pooled[value].append(numbers)
    for value, parts in pooled.items():
        rows.append(row("every world by the others", value, whole.reliability(np.concatenate(parts))))
    print(text_table(("labels", "value", "clusters", "ECE", "band", "exact", "Brier", "AUROC"), rows))
    if args.dest:
        write_together([(args.dest, document_bytes(fitted.model, indent=1, sort_keys=False))])
    if args.png:
        panels = [panel("worlds", whole, *(np.concatenate(pooled[name]) for name in ("confidence", "probability")))]
        for name, test in tests.items():
            values = fitted.model.probability(np.concatenate(test.values))
            panels.append(panel(name, test, np.concatenate(test.confidence), values))
        write_together([(args.png, line_charts(panels, same_y=True)[".png"])])


def row(name, value, found):
    """A row of the table."""
    band = f"{found.ece_low:.3f} to {found.ece_high:.3f}"
    return name, value, found.num_clusters, found.ece, band, found.ece_chance, found.brier, found.auroc


if __name__ == "__main__":
    main()
