"""Fit the probability of clusters that the package ships, and test it on labels of other worlds and of real frames.

    python scripts/fit_probability.py --fit WORLD=LABELS=DATA ... --test NAME=LABELS=DATA ... --dest FILE --png FILE

LABELS are output folders of `pointsam-label run`, DATA their data sets. Labels of one WORLD or NAME are pooled. The
table has the confidence of the labels, the probability, and alternatives, each fitted to the same clusters. A world
is scored by fits to the other worlds, tests by fits to all worlds. The file is that of all worlds. --png draws the
reliability of confidence and probability. With --stage tracks, the labels are those after tracking, and the only
alternative is the probability by single frames.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipelines.opened import open_run
from pointsam.base.document import document_bytes
from pointsam.base.files import write_together
from pointsam.base.tables import text_table
from pointsam.evaluate.fit_probability import JudgedClusters, fit, fit_probability
from pointsam.report.curves import Line, Panel, line_charts
from pointsam.stages.probability import DIRECTION, FEATURES, TRACKED_FEATURES


def judged(listed, stage):
    """The clusters of NAME=LABELS=DATA, by NAME and name of the folder."""
    found = {}
    for text in listed:
        name, labels, data = text.split("=")
        run = open_run(Path(labels), Path(data), stage=stage)
        names = FEATURES if stage == "clusters" else TRACKED_FEATURES
        place = found.setdefault((name, run.labels.out.name), JudgedClusters(names=names))
        place.add_labels(run.labels, run.truth, f"{name}: {run.labels.out.name}")
    return found


def alternatives(found):
    """Name -> a function of other clusters, each fitted to the clusters."""
    values, right = np.concatenate(found.values), found.right
    if found.names == TRACKED_FEATURES:
        single = found.names.index("single")
        return {"probability by single frames": lambda rows: expit(rows[:, single])}
    score = FEATURES.index("score")
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(values[:, score], right)
    signs = [DIRECTION.get(name, 0) for name in FEATURES]
    boosted = HistGradientBoostingClassifier(
        max_iter=60, max_depth=3, min_samples_leaf=30, monotonic_cst=signs, random_state=0
    ).fit(values, right)
    flat = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(values, right)
    return {
        "isotonic regression of the score": lambda rows: isotonic.predict(rows[:, score]),
        "logistic regression": lambda rows: flat.predict_proba(rows)[:, 1],
        "gradient boosting, depth 3, monotone": lambda rows: boosted.predict_proba(rows)[:, 1],
        "share of right clusters": lambda rows: np.full(len(rows), right.mean()),
    }


def curve(name, found):
    """The reliability curve of a value, without bins of fewer than five clusters."""
    bins = [one for one in found.bins if one.num_clusters >= 5]
    return Line(name, np.array([b.mean_confidence for b in bins]), np.array([b.share_right for b in bins]))


def panel(name, found, numbers):
    """Reliability of both values."""
    lines = [curve(value, found.reliability(numbers[value])) for value in ("confidence", "probability")]
    ends = np.array([0.0, 1.0])
    lines.append(Line("exact", ends, ends, dashed=True))
    return Panel(f"{name}: {len(found)} clusters", "value", "fraction right", lines)


def joined(parts):
    """The clusters of several labels."""
    parts = list(parts)
    out = JudgedClusters(names=parts[0].names)
    for part in parts:
        for name in ("values", "iou", "stored", "confidence", "scenes", "sources"):
            getattr(out, name).extend(getattr(part, name))
        out.classes.update(part.classes)
    return out


def scored(test, found):
    """Values of clusters by name, each of a fit to other clusters, the confidence aside."""
    values = np.concatenate(test.values)
    model = fit(np.concatenate(found.values), found.right, found)
    both = {"confidence": np.concatenate(test.confidence), "probability": model.probability(values, found.names)}
    return both | {name: value(values) for name, value in alternatives(found).items()}


def pooled(parts):
    """Values of several labels by name, from those of each."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", nargs="+", required=True)
    parser.add_argument("--test", nargs="+", default=[])
    parser.add_argument("--stage", choices=["clusters", "tracks"], default="clusters")
    parser.add_argument("--dest", type=Path)
    parser.add_argument("--png", type=Path)
    args = parser.parse_args()
    parts, tests = judged(args.fit, args.stage), judged(args.test, args.stage)
    whole = joined(parts.values())
    fitted = fit_probability(whole)
    print(f"{len(whole)} clusters, {whole.right.mean():.3f} right; without effect: {', '.join(fitted.left_out)}")
    for one in fitted.model.features:
        print(f"{one.name:12}", " ".join(f"{value:+.2f}" for value in one.values))
    values = {}
    for world in dict.fromkeys(name for name, _ in parts):
        others = joined(part for (name, _), part in parts.items() if name != world)
        values |= {key: scored(part, others) for key, part in parts.items() if key[0] == world}
    groups = {"every world by the others": list(parts)}
    groups |= {f"of these {label!r}": [key for key in parts if key[1] == label] for _, label in parts}
    groups |= {f"of these {world!r}": [key for key in parts if key[0] == world] for world, _ in parts}
    shown = {
        name: (joined(map(parts.get, keys)), pooled([values[key] for key in keys])) for name, keys in groups.items()
    }
    for name in dict.fromkeys(name for name, _ in tests):
        test = joined(part for (other, _), part in tests.items() if other == name)
        shown[name] = test, scored(test, whole)
    rows = []
    for name, (test, numbers) in shown.items():
        brief = name.startswith("of these")
        for value in list(numbers)[: 2 if brief else None]:
            rows.append(row(name, value, test.reliability(numbers[value])))
    print(text_table(("labels", "value", "clusters", "ECE", "band", "if exact", "Brier", "AUROC"), rows))
    for least in (0.3, 0.5, 0.7):
        for name, (test, numbers) in shown.items():
            gone = numbers["probability"] < least
            wrong = (~test.right)[gone]
            print(f"{name}, below {least}: {gone.mean():.3f} of all clusters, {wrong.mean():.3f} of these are wrong")
    if args.dest:
        write_together([(args.dest, document_bytes(fitted.model, indent=1, sort_keys=False))])
    if args.png:
        titles = {"every world by the others": "other worlds"}
        panels = [panel(titles.get(k, k), *pair) for k, pair in shown.items() if not k.startswith("of these")]
        write_together([(args.png, line_charts(panels, same_y=True)[".png"])])


def row(name, value, found):
    """A row of the table."""
    band = f"{found.ece_low:.3f} to {found.ece_high:.3f}"
    return name, value, found.num_clusters, found.ece, band, found.ece_chance, found.brier, found.auroc


if __name__ == "__main__":
    main()
