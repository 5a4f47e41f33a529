"""`pointsam-label` with `Scissors` for a network, as a program: its spawned workers import this module as well.

Whoever starts it puts `tests` and the checkout on PYTHONPATH.
"""

from helpers.segmenters import Scissors

from pipelines.cli.label import main
from pipelines.labelling import worker

worker.load_segmenter = lambda *_args, **_kwargs: Scissors()

if __name__ == "__main__":
    main()
