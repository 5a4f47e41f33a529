"""Fit the probability of clusters that the package ships, and test it on labels of other worlds and of real frames.

    python scripts/fit_probability.py --fit NAME=LABELS=DATA ... --test NAME=LABELS=DATA ... --dest FILE --png FILE

LABELS are output folders of `pointsam-label run`, DATA their data sets. Tests of one NAME are pooled. Without --dest
nothing is written. The table compares, on every test, the confidence of the labels and the fitted probability with
alternatives that are fitted to the same clusters. --png draws the reliability of the first two.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression

from pipelines.opened import open_run
from pointsam.base.document import document_bytes
from pointsam.base.files import write_together
from pointsam.base.tables import text_table
from pointsam.evaluate.fit_probability import JudgedClusters, fit_probability
from pointsam.report.curves import Line, Panel, line_charts
from pointsam.stages.probability import DIRECTION, FEATURES


def judged(listed):
    """The clusters of NAME=LABELS=DATA, by NAME."""
    found = {}
    for text in listed:
        name, labels, data = text.split("=")
        run = open_run(Path(labels), Path(data))
        found.setdefault(name, JudgedClusters()).add_labels(run.labels, run.truth, name)
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


def panel(name, found, fitted):
    """Reliability of the confidence and of the fitted probability on a test."""
    both = (np.concatenate(found.confidence), fitted.probability(np.concatenate(found.values)))
    lines = [curve(*pair) for pair in zip(("confidence", "probability"), map(found.reliability, both), strict=True)]
    ends = np.array([0.0, 1.0])
    return Panel(
        f"{name}: {len(found)} clusters", "value", "fraction right", [*lines, Line("exact", ends, ends, dashed=True)]
    )


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", default=[])
    parser.add_argument("--dest", type=Path)
    parser.add_argument("--png", type=Path)
    args = parser.parse_args()
    found = JudgedClusters()
    for text in args.fit:
        name, labels, data = text.split("=")
        run = open_run(Path(labels), Path(data))
        found.add_labels(run.labels, run.truth, name)
    tests = judged(args.test)
    fitted = fit_probability(found)
    print(f"{len(found)} clusters, {found.right.mean():.3f} right; without effect: {', '.join(fitted.left_out)}")
    print("".join(f"{one.name} {one.weight:+.2f}\n" for one in fitted.model.features))
    rows = []
    others = alternatives(found)
    for name, test in {"the fitted clusters, other scenes": None, **tests}.items():
        if test is None:
            scored = {"probability": fitted.after}
        else:
            values = np.concatenate(test.values)
            scored = {"confidence": test.reliability(np.concatenate(test.confidence))}
            scored["probability"] = test.reliability(fitted.model.probability(values))
            scored |= {other: test.reliability(value(values)) for other, value in others.items()}
        for value, one in scored.items():
            band = f"{one.ece_low:.3f}-{one.ece_high:.3f}"
            rows.append((name, value, one.num_clusters, one.ece, band, one.ece_chance, one.brier, one.auroc))
    print(text_table(("labels", "value", "clusters", "ECE", "band", "exact", "Brier", "AUROC"), rows))
    if args.dest:
        write_together([(args.dest, document_bytes(fitted.model, indent=1, sort_keys=False))])
    if args.png:
        panels = [panel(name, test, fitted.model) for name, test in tests.items()]
        write_together([(args.png, line_charts(panels, same_y=True)[".png"])])


if __name__ == "__main__":
    main()
