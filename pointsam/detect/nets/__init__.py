"""Networks from points to a map in bird's-eye view."""
