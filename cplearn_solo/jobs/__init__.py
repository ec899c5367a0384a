"""Jobs: work that runs side by side in processes of its own, on this machine or through SLURM."""
