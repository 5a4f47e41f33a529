"""`mixsup-train`: budgets, training, detection, experiments."""
