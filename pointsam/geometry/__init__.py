"""Rigid transforms, cameras, projection, visibility and boxes. numpy only."""
