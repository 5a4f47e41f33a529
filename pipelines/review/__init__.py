"""What is done with a finished run: evaluate, report, inspect, export."""
