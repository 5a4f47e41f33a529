"""Checkpoints that run code when they are trusted."""

import pickle


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def plain_pickle(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))
