"""Training on Lightning: the module, optimizers, run folders, checkpoints and the log."""
