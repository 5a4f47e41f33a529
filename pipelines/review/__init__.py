"""Commands on a finished run: evaluate, report, inspect, export."""
