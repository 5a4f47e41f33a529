from pipelines.remarks import scene_lines


def test_scenes_with_the_same_remark_share_a_line():
    assert scene_lines({"a": ("x", "y"), "b": ("y",), "c": ("y",)}) == (
        "scene 'a': x",
        "3 scenes, for example 'a': y",
    )


def test_more_remarks_than_a_screen_holds_are_counted():
    lines = scene_lines({f"s{k}": (f"cut {k}",) for k in range(20)})
    assert len(lines) == 9
    assert lines[-1] == "12 further remarks on scenes: OUT/run.json has all of them"
