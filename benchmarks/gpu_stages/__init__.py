"""The stages of ``benchmarks/gpu.py``; each has a function ``run(report, options)`` and a process of its own."""
