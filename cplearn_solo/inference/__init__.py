"""What a trained run is good for: its model, its features, its weights as a file."""
