"""Labels on disk as Parquet: schema, crash-safe writer, reader, manifest."""
