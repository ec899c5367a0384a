#!/bin/bash
# sbatch scripts/slurm/one_node.sh --config-name cplearn.yaml [key=value ...]
# Pretraining on all GPUs of one node. A job that is killed goes on when the same command is submitted again.
#SBATCH --job-name=cplearn
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00

srun python main_pretrain.py "$@" devices="$SLURM_NTASKS_PER_NODE" accelerator=gpu strategy=ddp sync_batchnorm=true
