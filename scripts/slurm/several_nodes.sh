#!/bin/bash
# sbatch --nodes=2 scripts/slurm/several_nodes.sh --config-name cplearn.yaml [key=value ...]
# The same on several nodes, with the mean assignment and the codes of CPLearn shared among all GPUs.
#SBATCH --job-name=cplearn
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00

srun python main_pretrain.py "$@" devices="$SLURM_NTASKS_PER_NODE" num_nodes="$SLURM_JOB_NUM_NODES" \
  accelerator=gpu strategy=ddp sync_batchnorm=true \
  method_kwargs.global_prior=true method_kwargs.dictionary_parallel=true
