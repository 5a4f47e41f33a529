"""What the trainer trains on: budgets, clusters, samples, augmentation, batches."""
