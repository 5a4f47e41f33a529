"""The entry points of both programs: they handle Ctrl-C before the imports, which take a second."""

from __future__ import annotations

import os
import signal
import warnings
from importlib import import_module
from types import FrameType


class Program:
    """A program; everything else about it is that of its click command, which is imported when it is first used.

    Args:
        module: module of its command, `main`.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __call__(self) -> object:
        """Run it with the arguments of this process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
                signal.signal(number, _quit)
        from pointsam.base import interrupts

        main = import_module(self._module).main
        interrupts.catch()
        warnings.formatwarning = _as_line
        return main()

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self._module).main, name)


def _as_line(message: Warning | str, *_: object, **__: object) -> str:
    return f"warning: {message}\n"


def _quit(number: int, _: FrameType | None) -> None:
    os.write(2, b"interrupted; nothing was written: run the same command again\n")
    os._exit(128 + number)


label = Program("pipelines.cli.label")
train = Program("pipelines.cli.train")
