"""Parquet labels on disk: schema, crash-only writer, reader, manifest."""
