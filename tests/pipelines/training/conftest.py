"""Modules that import torch before they could skip."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("torch") else ["test_show.py", "test_splits.py", "test_suggest.py"]
