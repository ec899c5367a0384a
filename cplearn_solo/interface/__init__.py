"""The program from Python: what ``import cplearn_solo`` offers, and what the commands are made of."""
