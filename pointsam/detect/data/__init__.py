"""Training data of detectors: budgets, coarse labels, samples, augmentation, batches."""
