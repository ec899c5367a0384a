"""What a frozen backbone is worth: features once, then linear probe, kNN and clustering."""
