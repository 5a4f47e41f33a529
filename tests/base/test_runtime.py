import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import numpy as np
from pointsam.base.runtime import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(32_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(32_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc is needed")
def test_memory_that_was_freed_is_used_again_without_new_pages():
    def faults(how):
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert 10 * faults("keep") < faults("return")
