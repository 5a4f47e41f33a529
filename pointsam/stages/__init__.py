"""The method, one pure function a file: prompt, paint, lift, refine, merge, trim, summarize."""
