"""Scores of a frozen backbone: its features, extracted once, then linear probe, kNN and clustering."""
