"""Plug-ins of packages that the fixture `install` writes."""

import pytest

from pointsam.base.errors import PluginError, SchemaError
from pointsam.base.plugins import find, load, names, plugins


def test_built_in_plug_ins_belong_to_this_distribution():
    assert names("datasets") == ("folder", "kitti", "kitti_raw", "kitti_tracking", "nuscenes", "semantickitti")
    assert {plugin.distribution for plugin in plugins("exporters")} == {"pointsam"}


def test_a_plug_in_of_another_package_is_listed_and_loaded(install):
    install("theirs", [("semantics", "gauge", "gauge_module:NUMBER")], {"gauge_module": "NUMBER = 7"})
    plugin = find("semantics", "gauge")
    assert (plugin.distribution, plugin.version) == ("theirs", "1.0")
    assert load("semantics", "gauge", int) == 7
    assert "gauge" in names("semantics")
    assert "gauge" not in names("datasets")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SchemaError, match=r"(?s)SCH005.*named 'waymo2'.*kitti_tracking, nuscenes, semantickitti"):
        find("datasets", "waymo2")


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(7)", "SystemExit: 7"),
        ("", "AttributeError"),
        ("NUMBER = 'seven'", "it is a str, not a int"),
    ],
)
def test_a_broken_plug_in_names_its_distribution_and_cause_when_used(install, module, says):
    install("theirs", [("semantics", "gauge", "broken_module:NUMBER")], {"broken_module": module})
    assert "gauge" in names("semantics")
    assert load("semantics", "ssd", object) is not None
    with pytest.raises(PluginError, match=r"PLG001.*'gauge' of theirs 1\.0 \(broken_module:NUMBER\)") as caught:
        load("semantics", "gauge", int)
    assert says in caught.value.message


def test_a_name_of_two_packages_is_refused_naming_both(install):
    install("theirs", [("semantics", "ssd", "theirs_module:NUMBER")])
    assert names("semantics").count("ssd") == 1
    with pytest.raises(PluginError, match=r"PLG002.*'ssd': pointsam [\d.]+, theirs 1\.0"):
        find("semantics", "ssd")


def test_a_distribution_that_is_installed_twice_counts_once(install):
    """As a checkout whose package is also installed."""
    install("theirs", [("semantics", "gauge", "old_module:NUMBER")], folder="later")
    install("theirs", [("semantics", "gauge", "new_module:NUMBER")], version="2.0", folder="first")
    assert find("semantics", "gauge").version == "2.0"
