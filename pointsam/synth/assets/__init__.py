"""The objects of the world, one module per family; functions take a random generator and return an `Asset`."""
