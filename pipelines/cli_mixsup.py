"""The name of version 0.1.0 for `pipelines.cli.train`, kept for `torchrun -m pipelines.cli_mixsup`."""

import click

from pipelines.cli.start import train

if __name__ == "__main__":
    click.echo("note: pipelines.cli_mixsup is now pipelines.cli.train", err=True)
    train()
