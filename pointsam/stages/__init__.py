"""The steps of the method, one pure function per file: prompt, paint, lift, refine, merge, trim, summarize."""
