"""The page of a run in a real browser: opened from a file, clicked, filtered."""

import errno
import io
import os
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from helpers.commands import label, refused
from PIL import Image

from pipelines.review.report import choose
from pointsam.base.errors import DatasetError
from pointsam.datasets.nuscenes.dataset import NuScenes
from pointsam.evaluate.labels import evaluate_labels
from pointsam.store.reader import Labels

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)


@pytest.fixture(scope="module")
def page(out, tmp_path_factory):
    dest = tmp_path_factory.mktemp("page") / "report"
    result = label("report", out, "--dest", dest)
    assert result.exit_code == 0, result.output
    return dest


@pytest.fixture(scope="module")
def browser():
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM:
        pytest.skip("needs Chromium or Chrome on the path")
    graphics = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *graphics])
        yield started
        started.close()


@pytest.fixture
def tab(browser, page):
    """The open page, its first frame shown; an error in a script or a file that is missing fails the test."""
    opened = browser.new_page(viewport={"width": 1400, "height": 1100})
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("requestfailed", lambda request: wrong.append(request.url))
    opened.on("request", lambda request: None if request.url.startswith("file:") else wrong.append(request.url))
    opened.goto((page / "index.html").as_uri())
    opened.wait_for_function("document.body.dataset.ready === '000'")
    yield opened
    opened.close()
    assert wrong == []


def clusters_of(out, place):
    labels = Labels(out)
    return labels.labels(labels.frame_ids()[place]).clusters


def canvas(tab):
    return np.asarray(Image.open(io.BytesIO(tab.locator("#view canvas").screenshot())).convert("RGB")).astype(int)


def test_the_first_frame_lists_its_clusters_and_shows_its_pictures(tab, out):
    rows = tab.locator("#clusters li").all_inner_texts()
    expected = [f"{c.class_name} {c.cluster_id}, {c.num_points} points" for c in clusters_of(out, 0)]
    assert len(expected) > 0
    assert all(row.startswith(start) for row, start in zip(rows, expected, strict=True))
    shown = tab.locator("#gallery figure:visible img")
    assert shown.count() == 7  # six cameras and the view from above
    assert shown.evaluate_all("all => all.every(image => image.complete && image.naturalWidth > 300)")


def test_the_cloud_is_drawn_and_a_filter_takes_a_class_away(tab, out):
    name = clusters_of(out, 0)[0].class_name
    before, rows = canvas(tab), tab.locator("#clusters li").count()
    assert (before.max(axis=2) > 60).sum() > 100
    coloured = (before.max(axis=2) - before.min(axis=2) > 60).sum()
    assert coloured > 5
    tab.locator(f'input[data-filter="{name}"]').uncheck()
    same = sum(c.class_name == name for c in clusters_of(out, 0))
    assert tab.locator("#clusters li").count() == rows - same
    after = canvas(tab)
    assert (after.max(axis=2) - after.min(axis=2) > 60).sum() < coloured
    tab.locator(f'input[data-filter="{name}"]').check()
    assert np.array_equal(canvas(tab), before)


def test_a_click_on_a_row_or_a_point_shows_its_cluster(tab, out):
    cluster = clusters_of(out, 0)[0]
    tab.locator(f'#clusters li[data-cluster="{cluster.cluster_id}"]').click()
    story = tab.locator("#story").inner_text()
    assert f"{cluster.class_name} {cluster.cluster_id}: {cluster.num_points} points" in story
    for camera, mask in zip(cluster.cameras, cluster.mask_ids, strict=True):
        assert f"{camera} mask {mask}" in story
    assert f"probability {round(cluster.probability, 3):.2f}" in story
    assert re.search(r"best IoU with a ground-truth object \d\.\d\d", story)
    tab.evaluate("POINTSAM.select(null)")
    assert "Click on a point" in tab.locator("#story").inner_text()
    tab.mouse.click(*tab.evaluate(f"POINTSAM.pixelOf({cluster.cluster_id})"))
    assert tab.evaluate("POINTSAM.state.selected") == cluster.cluster_id
    tab.mouse.click(*(tab.locator("#view").bounding_box()[side] + 3 for side in "xy"))  # the sky
    assert tab.evaluate("POINTSAM.state.selected") is None


def test_another_frame_and_another_colour(tab, out):
    tab.locator('#frames li[data-frame="001"]').click()
    tab.wait_for_function("document.body.dataset.ready === '001'")
    assert tab.locator("#clusters li").count() == len(clusters_of(out, 1))
    before = canvas(tab)
    tab.locator("#colour").select_option("outcome")
    assert not np.array_equal(canvas(tab), before)


@pytest.fixture
def half_grown(monkeypatch):
    """Labels of which growth added every second labelled point."""
    plain = Labels.labels

    def grown(self, frame_id):
        found = plain(self, frame_id)
        labelled = found.labels.instance_id >= 0
        added = labelled & (np.cumsum(labelled) % 2 == 1)
        clusters = (
            replace(c, num_points_grown=int(added[found.labels.instance_id == c.cluster_id].sum()))
            for c in found.clusters
        )
        return replace(found, grown=added, clusters=tuple(clusters))

    monkeypatch.setattr(Labels, "labels", grown)


def test_pictures_of_the_page_mark_grown_points(page, out, half_grown, tmp_path):
    assert label("report", out, "--dest", tmp_path / "grown").exit_code == 0
    pictures = sorted(path.name for path in (page / "frames").glob("000-*.jpg"))
    changed = [
        name
        for name in pictures
        if (page / "frames" / name).read_bytes() != (tmp_path / "grown" / "frames" / name).read_bytes()
    ]
    assert "000-above.jpg" in changed
    assert len(changed) > 1  # of the cameras, those that see a cluster


@pytest.fixture
def grown_tab(browser, out, half_grown, tmp_path):
    """The page of these labels."""
    assert label("report", out, "--dest", tmp_path / "grown", "--show", 1).exit_code == 0
    opened = browser.new_page(viewport={"width": 1400, "height": 1100})
    opened.goto((tmp_path / "grown" / "index.html").as_uri())
    opened.wait_for_function("document.body.dataset.ready === '000'")
    yield opened
    opened.close()


def test_grown_points_are_named_coloured_and_taken_away(grown_tab, out):
    cluster = clusters_of(out, 0)[0]
    assert cluster.num_points_grown > 0
    row = grown_tab.locator(f'#clusters li[data-cluster="{cluster.cluster_id}"]')
    assert f"{cluster.num_points} points ({cluster.num_points_grown} grown)" in row.inner_text()
    added = sum(c.num_points_grown for c in clusters_of(out, 0))
    assert grown_tab.locator("#frames li").first.inner_text().endswith(f", {added} grown")
    assert "added by growth: pale" in grown_tab.locator("#gallery figcaption").first.inner_text()

    def coloured():
        picture = canvas(grown_tab)
        return (picture.max(axis=2) - picture.min(axis=2) > 60).sum()

    before = coloured()
    grown_tab.locator("#grown").uncheck()
    assert 0 < coloured() < before
    grown_tab.locator("#grown").check()
    assert coloured() == before
    grown_tab.locator("#colour").select_option("growth")
    marks = grown_tab.locator("#clusters i").evaluate_all("all => all.map(mark => mark.style.background)")
    assert set(marks) == {"rgb(89, 153, 242)"}  # the colour of masked points
    picture = canvas(grown_tab)
    assert (picture[..., 0] - picture[..., 2] > 40).any()  # grown points are orange
    row.click()
    assert f"growth added {cluster.num_points_grown}" in grown_tab.locator("#story").inner_text()


def test_metrics_and_charts_are_in_the_page_without_scripts(page):
    text = (page / "index.html").read_text()
    assert "frames against boxes" in text
    assert re.findall(r">(50\+|200\+)<", text) == ["50+", "200+"]  # the last bins of range and of points
    assert text.count("<svg") == 4
    assert "http" not in text
    assert not re.search(r"\bnan\b", text)


def test_a_frame_takes_less_than_three_megabytes(page):
    for name in ("000", "001"):
        size = sum(path.stat().st_size for path in (page / "frames").glob(f"{name}*"))
        assert 100_000 < size < 3_000_000


def test_an_existing_folder_is_kept(out, page, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious").write_text("x")
    refused(label("report", out, "--dest", tmp_path / "there"), "OUT003", tmp_path / "there")
    assert (tmp_path / "there" / "precious").exists()


@pytest.mark.filterwarnings("error:No artists")
def test_metrics_are_those_of_eval_and_pictures_use_the_cameras_of_the_run(drive, out, tmp_path):
    known = ("--masks-from", out, "--workers", 1, "--noise", "dropped=2", "--noise", "rotation_deg=5")
    assert label("clusters", drive[0], "--out", tmp_path / "noisy", *known).exit_code == 0
    result = label("report", tmp_path / "noisy", "--dest", tmp_path / "page", "--masks-from", out)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page" / "index.html").read_text()
    tables = evaluate_labels(tmp_path / "noisy", NuScenes(drive[0])).tables()
    assert any("CAM_FRONT" in table.html() for table in tables)
    assert all(table.html() in text for table in tables)
    assert len(list((tmp_path / "page" / "frames").glob("000-CAM*.jpg"))) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")
def test_a_folder_whose_name_is_not_utf_8_has_a_page_and_tables(drive, out, tmp_path):
    odd = tmp_path / os.fsdecode(b"out\xff")
    shutil.copytree(out, odd)
    assert label("report", odd, "--dest", tmp_path / "page").exit_code == 0
    assert "out\\udcff" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert label("eval", odd, drive[0], "--markdown", tmp_path / "tables.md").exit_code == 0
    assert "out\\udcff" in (tmp_path / "tables.md").read_text(encoding="utf-8")


def test_the_frames_to_show_can_be_named(out, tmp_path):
    *_, one, two = Labels(out).frame_ids()
    result = label("report", out, "--dest", tmp_path / "page", "--frames", f"{two},{one}")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page" / "index.html").read_text()
    assert text.index(f"{two}") < text.index(f"{one}")
    assert not (tmp_path / "page" / "frames" / "002.js").exists()


def test_a_number_of_frames_is_refused_naming_the_option(out, tmp_path):
    refused(label("report", out, "--dest", tmp_path / "page", "--frames", "12"), "DAT010", "'12'", "--show")
    assert not (tmp_path / "page").exists()


def test_without_ground_truth_the_page_counts_the_clusters(out, tmp_path, monkeypatch):
    monkeypatch.setattr(NuScenes, "point_truth", lambda *_: None)
    result = label("report", out, "--dest", tmp_path / "page", "--show", 1)
    assert result.exit_code == 0, result.output
    assert "No ground truth: clusters by class" in (tmp_path / "page" / "index.html").read_text()


def test_damaged_ground_truth_is_refused(out, tmp_path, monkeypatch):
    def damaged(*_):
        raise DatasetError("DAT011", "lidarseg.json is damaged", "unpack it again")

    monkeypatch.setattr(NuScenes, "point_truth", damaged)
    refused(label("report", out, "--dest", tmp_path / "page"), "DAT009", "[DAT011] lidarseg.json")


def test_overwrite_replaces_a_page(out, page, tmp_path):
    shutil.copytree(page, tmp_path / "page")
    (tmp_path / "page" / "index.html").write_text("old")
    result = label("report", out, "--dest", tmp_path / "page", "--overwrite", "--show", 1)
    assert result.exit_code == 0, result.output
    assert "frames against boxes" in (tmp_path / "page" / "index.html").read_text()
    assert not list((tmp_path / "page" / "frames").glob("001*"))
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_overwrite_keeps_other_folders(out, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years")
    refused(label("report", out, "--dest", tmp_path / "thesis", "--overwrite"), "OUT003", "chapter.tex")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years"


def test_overwrite_keeps_labels_masks_and_data(drive, out, tmp_path):
    """Data are protected where they are now, and where they were when the run was made."""
    done = label("clusters", drive[0], "--out", tmp_path / "labels", "--masks-from", out, "--workers", 1)
    assert done.exit_code == 0, done.output
    shutil.copytree(drive[0], tmp_path / "moved")
    before = {folder: sorted(folder.rglob("*")) for folder in (drive[0], out, tmp_path)}
    for folder in (tmp_path / "labels", out, drive[0], tmp_path / "moved"):
        dest = ("--dest", folder / "page", "--masks-from", out, "--overwrite")
        refused(label("report", tmp_path / "labels", tmp_path / "moved", *dest), "OUT003", f"page lies in {folder}")
    assert {folder: sorted(folder.rglob("*")) for folder in before} == before


def test_a_failure_leaves_the_old_page(out, page, tmp_path, monkeypatch):
    shutil.copytree(page, tmp_path / "page")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipelines.review.report.image_quality", full)
    refused(label("report", out, "--dest", tmp_path / "page", "--overwrite", "--show", 1), "OUT002", "disk full")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_worst_the_best_and_some_other_frames_are_shown():
    ids = [f"f{k}" for k in range(30)]
    scores = {name: k / 30 for k, name in enumerate(ids)}
    chosen = dict(choose(ids, scores, 9))
    assert [name for name, why in chosen.items() if "worst" in why] == ["f0", "f1", "f2"]
    assert [name for name, why in chosen.items() if "best" in why] == ["f29", "f28", "f27"]
    assert len(chosen) == 9
    assert len(choose(ids, {}, 9)) == 9
    few = {name: scores[name] for name in ids[:6]}
    assert [why for _, why in choose(ids, few, 6)] == ["IoU 0.00", "IoU 0.17", *[""] * 4]
    assert len(choose(ids[:4], dict.fromkeys(ids[:4], 0.5), 9)) == 4
