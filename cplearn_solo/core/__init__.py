"""What every room may use: errors, registries, files, processes, precision."""
