"""The things of the world, one module a family; each function takes a random generator and returns an `Asset`."""
